"""What the codec's figures are held against."""

AT_LEAST, AT_MOST = "at least", "at most"
# Sizes on the prose model at KL 0.003 and 97 %, rates as shares of a memcpy on one core, points of
# answers, times as shares of a prefill.
BARS = {
    "codec.lossless_ratio_bf16": (AT_LEAST, 1.4),
    "codec.balanced_ratio": (AT_LEAST, 8),
    "codec.small_ratio": (AT_LEAST, 24),
    "codec.high_ratio": (AT_LEAST, 3),
    "codec.high_kl": (AT_MOST, 0.0005),
    "codec.vs_cachegen_paper": (AT_LEAST, 1.8),
    "codec.vs_kvtc": (AT_LEAST, 1.4),
    "codec.balanced_profile_share": (AT_MOST, 0.1),
    "codec.small_profile_share": (AT_MOST, 0.1),
    "codec.balanced_level_cost": (AT_MOST, 1.05),
    "codec.small_level_cost": (AT_MOST, 1.05),
    "codec.judge_kl_removed": (AT_LEAST, 0.25),
    "codec.decode_vs_memcpy": (AT_LEAST, 0.2),
    "codec.encode_vs_memcpy": (AT_LEAST, 0.1),
    "codec.balanced_decode_vs_memcpy": (AT_LEAST, 0.1),
    "codec.balanced_encode_vs_memcpy": (AT_LEAST, 0.05),
    "codec.two_threads": (AT_LEAST, 1.8),
    "codec.small_decode_share": (AT_MOST, 0.03),
    "codec.micro_balanced_ratio": (AT_LEAST, 8),
    "codec.micro_small_ratio": (AT_LEAST, 24),
    "codec.micro_balanced_points": (AT_MOST, 0.5),
    "codec.micro_small_points": (AT_MOST, 0.5),
}


def held(key, value):
    relation, bar = BARS[key]
    return value >= bar if relation == AT_LEAST else value <= bar


def table(figures):
    """One line a bar: figure, bar, whether it is held; "absent" where it was not measured."""
    lines = [f"{'figure':34s} {'value':>9s} {'bar':>14s} held"]
    for key, (relation, bar) in BARS.items():
        value = figures.get(key)
        measured = "-" if value is None else f"{value:.4g}"
        verdict = "absent" if value is None else "yes" if held(key, value) else "no"
        lines.append(f"{key:34s} {measured:>9s} {relation + ' ' + format(bar, 'g'):>14s} {verdict}")
    return "\n".join(lines)
