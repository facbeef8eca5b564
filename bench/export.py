"""Write a model as openvino-genai wants it: one OpenVINO model per part, its tokenizer among them.

    python -m bench.export FOLDER SIDE

What optimum-intel would write, without it: the converter of `bench/peers/converted.py`, saved in float16.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import openvino
import openvino_tokenizers
from transformers import CLIPTokenizer

from bench.peers import export_folder
from bench.peers.converted import convert_decoder, convert_text, convert_unet


def export(folder: Path, side: int) -> Path:
    """Write the export unless it is there already."""
    target = export_folder(folder)
    if (target / "model_index.json").exists():
        return target
    shutil.rmtree(target, ignore_errors=True)
    unet, _ = convert_unet(folder, side, static=False)
    _save(unet, ["sample", "timestep", "encoder_hidden_states"], ["out_sample"], target / "unet")
    _save(convert_text(folder), ["input_ids"], ["last_hidden_state"], target / "text_encoder")
    decoder, _ = convert_decoder(folder, side, static=False)
    _save(decoder, ["latent_sample"], ["sample"], target / "vae_decoder")
    (target / "tokenizer").mkdir()
    tokenizer = CLIPTokenizer.from_pretrained(folder, subfolder="tokenizer")
    openvino.save_model(
        openvino_tokenizers.convert_tokenizer(tokenizer), str(target / "tokenizer" / "openvino_tokenizer.xml")
    )
    for part, source in (("unet", "unet"), ("text_encoder", "text_encoder"), ("vae_decoder", "vae")):
        shutil.copy(folder / source / "config.json", target / part / "config.json")
    _disguise(target / "vae_decoder" / "config.json")
    shutil.copytree(folder / "scheduler", target / "scheduler")
    index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    # It knows the full autoencoder's name only, and reads no null.
    index["vae"] = index["vae_decoder"] = ["diffusers", "AutoencoderKL"]
    index = {name: entry for name, entry in index.items() if entry != [None, None]}
    (target / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return target


def _disguise(path: Path) -> None:
    """It counts the full autoencoder's blocks to learn how far latents are enlarged, and divides by what it finds."""
    config = json.loads(path.read_text(encoding="utf-8"))
    config.setdefault("block_out_channels", config.get("decoder_block_out_channels"))
    path.write_text(json.dumps(config), encoding="utf-8")


def _save(model: openvino.Model, inputs: list[str], outputs: list[str], folder: Path) -> None:
    for port, name in zip([*model.inputs, *model.outputs], [*inputs, *outputs], strict=True):
        port.get_tensor().set_names({name})
    folder.mkdir(parents=True, exist_ok=True)
    openvino.save_model(model, str(folder / "openvino_model.xml"), compress_to_fp16=True)


if __name__ == "__main__":
    export(Path(sys.argv[1]), int(sys.argv[2]))
