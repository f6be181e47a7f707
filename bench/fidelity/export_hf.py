#!/usr/bin/env python3
"""Writes a training checkpoint as a Hugging Face directory (tokenizer.json has to be there).

Usage: export_hf.py --checkpoint DIR [--out engine/models/micro]
"""

import argparse
import os
import sys

import torch

import hf_directory
from micro_llama import Config, MicroLlama


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--out", default="engine/models/micro")
    args = parser.parse_args()
    saved = torch.load(os.path.join(args.checkpoint, "latest.pt"))
    model = MicroLlama(Config(**saved["config"]))
    model.load_state_dict(saved["model"])
    hf_directory.save(args.out, model)
    print(args.out, saved["progress"], saved["arguments"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
