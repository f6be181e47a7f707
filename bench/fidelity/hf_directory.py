"""The micro model as a Hugging Face directory: config.json, model.safetensors, tokenizer.json."""

import json
import os

import torch

import safetensors_file
from bpe import BOS, EOS, Tokenizer
from micro_llama import Config, MicroLlama

MAX_POSITIONS = 2048


def write_json(directory: str, name: str, data: dict) -> None:
    with open(os.path.join(directory, name), "w", encoding="utf-8") as file:
        json.dump(data, file, indent=2)
        file.write("\n")


def save(directory: str, model: MicroLlama, max_positions: int = MAX_POSITIONS,
         dtype: str = "float32") -> None:
    """Writes everything but tokenizer.json, which has to be there already."""
    config = model.config
    tokenizer = Tokenizer(os.path.join(directory, "tokenizer.json"))
    write_json(directory, "config.json", {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama",
        "vocab_size": config.vocab_size, "hidden_size": config.hidden_size,
        "intermediate_size": config.intermediate_size,
        "num_hidden_layers": config.num_hidden_layers,
        "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": config.num_key_value_heads, "head_dim": config.head_dim,
        "hidden_act": "silu", "rms_norm_eps": config.rms_norm_eps,
        "rope_theta": config.rope_theta, "rope_scaling": None,
        "max_position_embeddings": max_positions, "attention_bias": False, "mlp_bias": False,
        "attention_dropout": 0.0, "initializer_range": 0.02, "pretraining_tp": 1,
        "tie_word_embeddings": True, "use_cache": True, "torch_dtype": dtype,
        "bos_token_id": tokenizer.bos, "eos_token_id": tokenizer.eos,
    })
    write_json(directory, "generation_config.json", {
        "bos_token_id": tokenizer.bos, "eos_token_id": tokenizer.eos, "do_sample": False,
        "max_new_tokens": 8})
    write_json(directory, "tokenizer_config.json", {
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS, "eos_token": EOS,
        "add_prefix_space": True, "add_bos_token": True, "add_eos_token": False,
        "clean_up_tokenization_spaces": False, "model_max_length": max_positions})
    safetensors_file.write(os.path.join(directory, "model.safetensors"),
                           {name: tensor.numpy().astype(dtype)
                            for name, tensor in model.state_dict().items()})


def load(directory: str):
    """(model, tokenizer) of a directory written by `save`."""
    with open(os.path.join(directory, "config.json"), encoding="utf-8") as file:
        data = json.load(file)
    fields = Config.__dataclass_fields__
    model = MicroLlama(Config(**{key: data[key] for key in fields}))
    tensors = safetensors_file.read(os.path.join(directory, "model.safetensors"))
    model.load_state_dict({name: torch.from_numpy(array.copy())
                           for name, array in tensors.items()})
    model.eval()
    return model, Tokenizer(os.path.join(directory, "tokenizer.json"))
