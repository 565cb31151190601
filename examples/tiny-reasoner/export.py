#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writes a checkpoint of train.py as a Hugging Face folder that `ponder run` opens and `ponder convert` turns into GGUF."""
import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from reasoner_data import ASSISTANT, BOS, EOS, USER, build_tokenizer
from reasoner_model import CONFIG, Reasoner

CHAT_TEMPLATE = (
    "{%- if add_generation_prompt is not defined -%}{%- set add_generation_prompt = false -%}{%- endif -%}"
    "{{- bos_token -}}"
    "{%- for turn in messages -%}"
    "{%- set said = turn['content'] or '' -%}"
    "{%- if turn['role'] == 'system' -%}{{- said -}}"
    f"{{%- elif turn['role'] == 'user' -%}}{{{{- '{USER}' + said -}}}}"
    "{%- elif turn['role'] == 'assistant' -%}"
    "{%- if '</think>' in said -%}{%- set said = said.split('</think>')[-1] -%}{%- endif -%}"
    f"{{{{- '{ASSISTANT}' + said + '{EOS}' -}}}}"
    "{%- endif -%}"
    "{%- endfor -%}"
    f"{{%- if add_generation_prompt -%}}{{{{- '{ASSISTANT}<think>\\n' -}}}}{{%- endif -%}}")


def hf_tensors(model):
    """State of the model under Hugging Face's names: experts one by one; the MTP layer's copies of embedding and head left out."""
    tensors = {}
    for name, value in model.state_dict().items():
        value = value.float().contiguous()
        if name.endswith("mlp.gate_up"):
            for e, matrix in enumerate(value):
                gate, up = matrix.chunk(2)
                stem = name.removesuffix("gate_up") + f"experts.{e}."
                tensors[stem + "gate_proj.weight"], tensors[stem + "up_proj.weight"] = gate.clone(), up.clone()
        elif name.endswith("mlp.down"):
            for e, matrix in enumerate(value):
                tensors[name.removesuffix("down") + f"experts.{e}.down_proj.weight"] = matrix.clone()
        else:
            tensors[name] = value.clone()
    return tensors


def write_folder(model, folder):
    folder.mkdir(parents=True, exist_ok=True)
    save_file(hf_tensors(model), str(folder / "model.safetensors"), {"format": "pt"})
    tokenizer_config = dict(tokenizer_class="LlamaTokenizerFast", bos_token=BOS, eos_token=EOS, pad_token=EOS, add_bos_token=True, add_eos_token=False,
                            clean_up_tokenization_spaces=False, model_max_length=CONFIG["max_position_embeddings"], chat_template=CHAT_TEMPLATE)
    generation = dict(bos_token_id=0, eos_token_id=1, do_sample=False)
    for name, content in (("config.json", CONFIG), ("tokenizer.json", build_tokenizer()), ("tokenizer_config.json", tokenizer_config),
                          ("generation_config.json", generation)):
        (folder / name).write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    model = Reasoner()
    model.load_state_dict(torch.load(args.checkpoint)["model"])
    write_folder(model, args.folder)


if __name__ == "__main__":
    main()
