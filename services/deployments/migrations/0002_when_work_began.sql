SET LOCAL lock_timeout = '5s';

-- When somebody first worked on the job: how often the grid is asked follows from this, not from how long it queued.
ALTER TABLE grid_jobs ADD COLUMN begun_at timestamptz;
