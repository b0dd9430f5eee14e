"""llama.cpp's HTTP server over a tiny model with random weights, for tests: python llama.py MODEL.gguf [CONTEXT]

Prints the port that it listens on, and ends when its standard input does. The model is made if it is not there.
"""

import os
import sys

import gguf
import numpy
import xllamacpp

LAYERS, WIDTH, HEADS, FEED, CONTEXT = 2, 64, 4, 128, 2048


def alphabet():
    """GPT-2's printable characters for the 256 bytes."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    names, extra = {byte: chr(byte) for byte in plain}, 0
    for byte in range(256):
        if byte not in names:
            names[byte] = chr(256 + extra)
            extra += 1
    return [names[byte] for byte in range(256)]


def make(path):
    tokens = [*alphabet(), "<|end|>"]
    merges = ["h e", "l l"]
    tokens[256:256] = [merge.replace(" ", "") for merge in merges]
    end = len(tokens) - 1
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * end + [gguf.TokenType.CONTROL])
    writer.add_token_merges(merges)
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)
    writer.add_chat_template(
        "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant:"
    )
    chance = numpy.random.default_rng(7)

    def tensor(name, *shape):
        writer.add_tensor(name, chance.normal(0, 0.2, shape).astype(numpy.float32))

    def ones(name):
        writer.add_tensor(name, numpy.ones(WIDTH, dtype=numpy.float32))

    tensor("token_embd.weight", len(tokens), WIDTH)
    ones("output_norm.weight")
    output = chance.normal(0, 0.2, (len(tokens), WIDTH)).astype(numpy.float32)
    # The end is never the likeliest token, so every answer has the length that was asked for.
    output[end] = 0
    writer.add_tensor("output.weight", output)
    for layer in range(LAYERS):
        at = f"blk.{layer}."
        ones(at + "attn_norm.weight")
        ones(at + "ffn_norm.weight")
        for part in ("q", "k", "v", "output"):
            tensor(f"{at}attn_{part}.weight", WIDTH, WIDTH)
        tensor(at + "ffn_gate.weight", FEED, WIDTH)
        tensor(at + "ffn_up.weight", FEED, WIDTH)
        tensor(at + "ffn_down.weight", WIDTH, FEED)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    path = sys.argv[1]
    if not os.path.exists(path):
        fresh = f"{path}.{os.getpid()}"
        make(fresh)
        os.replace(fresh, path)
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.n_ctx = int(sys.argv[2]) if len(sys.argv) > 2 else 512
    params.n_parallel = 1
    params.model_alias = {"tiny"}
    params.warmup = False
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


main()
