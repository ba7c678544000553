"""Random shocks of every kind on a random network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contagion.shocks import Shock, parse_shock

if TYPE_CHECKING:
    import numpy as np

    from graphs.network import Network

SWITCHES = ("outage:{x}", "halt:{a}", "transfers:{x}=off", "arbitrage:{x}=off")


def draw_shocks(net: Network, rng: np.random.Generator, most: int = 3) -> list[Shock]:
    """One to ``most`` shocks, no two of which hit the same; sizes of one draw are of one scale, from harmless to ruinous."""
    assets, exchanges, stables, traders = (list(net.node_ids(kind)) for kind in ("asset", "exchange", "stablecoin", "trader"))
    books = sorted(set(zip(net.strings("market", "exchange"), net.strings("market", "asset"), strict=True)))
    scale = 10 ** rng.uniform(-1.5, 1.5)
    found: dict[tuple[str, str, str, str], Shock] = {}
    for _ in range(rng.integers(1, most + 1)):
        asset, exchange = assets[rng.integers(len(assets))], exchanges[rng.integers(len(exchanges))]
        place, coin = books[rng.integers(len(books))]
        node = (traders + exchanges)[rng.integers(len(traders) + len(exchanges))]
        fall, size = min(rng.exponential(scale), 90.0), 10 ** rng.uniform(0, 5)
        texts = [f"{asset}={-fall:.4f}%"] * 5 + [
            f"{asset}={fall:.4f}%",
            f"price:{coin}@{place}={min(max(rng.normal() * scale / 3, -20.0), 20.0):.4f}%",
            f"depth:{exchange}={rng.uniform(0.05, 1.5):.3f}",
            "depth:*=0.3",
            f"default:{traders[rng.integers(len(traders))]}",
            f"loss:{node}={size:.2f}",
            SWITCHES[rng.integers(len(SWITCHES))].format(x=exchange, a=asset),
            f"sale:{coin}@{place}={rng.normal() * size:.2f}",
        ]
        if rng.random() < 0.1:
            texts.append(f"default:{exchange}")
        if stables:
            texts.append(f"depeg:{stables[rng.integers(len(stables))]}={max(1 - fall / 100, 0.2):.4f}")
            texts.append(f"redemption:{stables[rng.integers(len(stables))]}=off")
        if net.count("credit"):
            texts.append(f"writeoff:{rng.choice(net.strings('credit', 'debtor'))}={rng.uniform(0, 100):.1f}%")
        shock = parse_shock(texts[rng.integers(len(texts))])
        found[shock.key] = shock
    return list(found.values())
