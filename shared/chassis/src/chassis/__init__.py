"""What every process needs that is not business."""
