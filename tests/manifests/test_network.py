"""The network lets through the arrows of the design and no other, at both of their ends.

The arrows stand here once, from "The way data flows" and what the platform needs for itself. Policies are read as
Kubernetes reads them: a way is open when the one's egress and the other's ingress both allow it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

pytestmark = pytest.mark.manifests

HOME = "gridledger"
SERVICES = {"payments-api": 8000, "gateway-ingest": 8001, "ledger": 8002, "deployments": 8003}
ANYWHERE_OUTSIDE = "the internet"
INTERFACE = "the Kubernetes interface"
PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"]

RECONCILES = ("gateway-ingest-reconcile", "gateway-ingest-reconcile-clickpesa")
Arrow = tuple[str, str, int]


@dataclass(frozen=True)
class Place:
    """Who can send or be sent to: pods with these labels, in this namespace."""

    name: str
    labels: Mapping[str, str]
    namespace: str = HOME


OPERATED = [
    Place(
        "kafka", {"strimzi.io/cluster": "gridledger", "strimzi.io/kind": "Kafka", "strimzi.io/name": "gridledger-kafka"}
    ),
    Place(
        "kafka-entity-operator", {"strimzi.io/cluster": "gridledger", "strimzi.io/name": "gridledger-entity-operator"}
    ),
    Place("postgres", {"cnpg.io/cluster": "postgres", "cnpg.io/podRole": "instance"}),
]
OUTSIDE = [
    Place("the ingress controller", {}, "ingress-nginx"),
    Place("monitoring", {}, "monitoring"),
    Place("keda", {}, "keda"),
    Place("strimzi", {"strimzi.io/kind": "cluster-operator"}, "strimzi"),
    Place("cloudnative-pg", {"app.kubernetes.io/name": "cloudnative-pg"}, "cnpg-system"),
    Place("names", {"k8s-app": "kube-dns"}, "kube-system"),
    Place("strangers", {"app.kubernetes.io/name": "ledger", "app.kubernetes.io/component": "service"}, "default"),
]


def arrows(overlay: str) -> set[Arrow]:
    """(from, to, port): the design, and what the platform needs."""
    found = {
        ("the ingress controller", "payments-api", 8000),
        ("the ingress controller", "gateway-ingest", 8001),
        ("payments-api", "gateway-ingest", 8001),
        ("payments-api", "ledger", 8002),
        ("keda", "kafka", 9093),
        ("monitoring", "postgres", 9187),
    }
    for reconcile in RECONCILES:
        found |= {(reconcile, "ledger", 8002), (reconcile, "postgres", 5432)}
    for service, port in SERVICES.items():
        found |= {(service, "kafka", 9093), (service, "postgres", 5432), ("monitoring", service, port)}
        found |= {(f"{service}-migration", "postgres", 5432)}
    found |= {("kafka", "kafka", 9090), ("kafka", "kafka", 9091), ("kafka-entity-operator", "kafka", 9091)}
    found |= {("strimzi", "kafka", port) for port in (9090, 9091, 8443)}
    found |= {("postgres", "postgres", port) for port in (5432, 8000)}
    found |= {("cloudnative-pg", "postgres", port) for port in (5432, 8000)}
    found |= {(who, INTERFACE, port) for who in ("postgres", "kafka-entity-operator") for port in (443, 6443)}
    return found | (production_arrows() if overlay == "production" else dev_arrows())


def production_arrows() -> set[Arrow]:
    leaving = ("deployments", "payments-api", "gateway-ingest", *RECONCILES, "postgres")
    outside = {(who, ANYWHERE_OUTSIDE, 443) for who in leaving}
    outside |= {("payments-api", ANYWHERE_OUTSIDE, port) for port in (587, 465)}
    return outside | {("kafka", INTERFACE, 443), ("kafka", INTERFACE, 6443)}


def dev_arrows() -> set[Arrow]:
    return {("deployments", "grid-simulator", 8011), ("demo-gateway", "gateway-ingest", 8001)}


def places(manifests: Any) -> list[Place]:
    ours = [Place(name, pod["metadata"]["labels"]) for name, pod in manifests.pods()]
    return [*ours, *OPERATED, *OUTSIDE]


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """A label selector; only what the manifests use of it."""
    assert selector is None or set(selector) <= {"matchLabels"}
    return all(labels.get(key) == value for key, value in (selector or {}).get("matchLabels", {}).items())


def is_meant(peer: Mapping[str, Any], place: Place) -> bool:
    """Whether a peer of a policy of ours is this place."""
    if "namespaceSelector" in peer:
        in_it = matches(peer["namespaceSelector"], {"kubernetes.io/metadata.name": place.namespace})
    else:
        in_it = "podSelector" in peer and place.namespace == HOME
    return in_it and matches(peer.get("podSelector"), place.labels)


def address_block(peer: Mapping[str, Any]) -> str:
    block = peer["ipBlock"]
    if block["cidr"] != "0.0.0.0/0":
        return INTERFACE
    return ANYWHERE_OUTSIDE if sorted(block.get("except", [])) == sorted(PRIVATE) else "anywhere"


def ports_of(rule: Mapping[str, Any]) -> list[int]:
    assert rule.get("ports"), "a rule without ports allows all of them"
    assert all(set(port) <= {"port", "protocol"} for port in rule["ports"])
    return [port["port"] for port in rule["ports"]]


def opened(manifests: Any, direction: str) -> Iterator[Arrow]:
    """What the policies allow at one end: ``ingress`` or ``egress``."""
    word = {"ingress": "from", "egress": "to"}[direction]
    everybody = places(manifests)
    for policy in manifests.of("NetworkPolicy").values():
        own = [p for p in everybody if p.namespace == HOME and matches(policy["spec"]["podSelector"], p.labels)]
        assert own, f"{policy['metadata']['name']} is about nobody"
        for rule in policy["spec"].get(direction, []):
            assert rule.get(word), "a rule without peers allows everybody"
            for peer in rule[word]:
                blocks = [address_block(peer)] if "ipBlock" in peer else []
                others = [place.name for place in everybody if is_meant(peer, place)] + blocks
                assert others, f"{policy['metadata']['name']} names a peer that does not exist: {peer}"
                yield from between([place.name for place in own], others, ports_of(rule), direction)


def between(own: Sequence[str], others: Sequence[str], ports: Sequence[int], direction: str) -> Iterator[Arrow]:
    for one in own:
        for other in others:
            for port in ports:
                yield (other, one, port) if direction == "ingress" else (one, other, port)


def inside(manifests: Any) -> set[str]:
    return {place.name for place in places(manifests) if place.namespace == HOME}


def without_names(found: set[Arrow]) -> set[Arrow]:
    return {arrow for arrow in found if arrow[1] != "names"}


def in_dev_the_interface_is_anywhere(found: set[Arrow], overlay: str) -> set[Arrow]:
    if overlay == "production":
        return found
    return {(one, INTERFACE if other == "anywhere" else other, port) for one, other, port in found}


def test_what_may_be_sent_is_the_design(manifests: Any) -> None:
    within = inside(manifests)
    expected = {arrow for arrow in arrows(manifests.overlay) if arrow[0] in within}
    sent = without_names(set(opened(manifests, "egress")))
    assert in_dev_the_interface_is_anywhere(sent, manifests.overlay) == expected


def test_what_may_be_received_is_the_design(manifests: Any) -> None:
    within = inside(manifests)
    expected = {arrow for arrow in arrows(manifests.overlay) if arrow[1] in within}
    assert set(opened(manifests, "ingress")) == expected


def test_all_else_is_refused_both_ways(manifests: Any) -> None:
    (refusal,) = [
        policy["spec"]
        for policy in manifests.of("NetworkPolicy").values()
        if policy["spec"]["podSelector"] == {} and not {"ingress", "egress"} & set(policy["spec"])
    ]
    assert sorted(refusal["policyTypes"]) == ["Egress", "Ingress"]


def test_everybody_may_ask_for_names_and_only_there(manifests: Any) -> None:
    asked = {arrow for arrow in opened(manifests, "egress") if arrow[1] == "names"}
    assert asked == {(name, "names", 53) for name in inside(manifests)}


def test_strimzi_s_own_policy_lets_in_the_same(manifests: Any) -> None:
    """Strimzi makes a policy for each listener; what it allows is added to ours."""
    (kafka,) = manifests.of("Kafka").values()
    for listener in kafka["spec"]["kafka"]["listeners"]:
        peers = listener["networkPolicyPeers"]
        let_in = {place.name for place in places(manifests) for peer in peers if is_meant(peer, place)}
        assert let_in == {
            one for one, other, port in arrows(manifests.overlay) if (other, port) == ("kafka", listener["port"])
        }
        assert len(peers) == len(let_in)


def test_the_world_comes_in_at_two_doors(manifests: Any) -> None:
    doors = manifests.of("Ingress")
    assert set(doors) == {"payments-api", "gateway-ingest"}
    for name, door in doors.items():
        (rule,) = door["spec"]["rules"]
        assert {tuple(entry["hosts"]) for entry in door["spec"]["tls"]} == {(rule["host"],)}
        assert {path["backend"]["service"]["name"] for path in rule["http"]["paths"]} == {name}
    assert {service["spec"].get("type", "ClusterIP") for service in manifests.of("Service").values()} == {"ClusterIP"}
