"""mlx_lm.server on a port that it prints, a free one if none is named: `scripted_server.py DIR [TEXT [PORT]]`. With a text, the model says that and may call tools."""
import json
import pathlib
import sys

import mlx.core as mx
import mlx_lm.server as server
from tokenizers import Tokenizer

directory = pathlib.Path(sys.argv[1])


def scripted(text):
    config = json.loads((directory / "tokenizer_config.json").read_text())
    config["chat_template"] += "{# <tool_call> tool_call.name #}"
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    said = tokenizer.encode(text, add_special_tokens=False).ids + [tokenizer.token_to_id(config["eos_token"])]

    def only_that(*_, **__):
        rest = iter(said)

        def force(_, logits):
            mask = mx.full(logits.shape, -1e9)
            mask[..., next(rest, said[-1])] = 0
            return mask

        return [force]

    return only_that


def told(self, activate=server.ThreadingHTTPServer.server_activate):
    activate(self)
    print(self.server_port, flush=True)


if len(sys.argv) > 2:
    server.make_logits_processors = scripted(sys.argv[2])
server.ThreadingHTTPServer.server_activate = told
sys.argv[1:] = ["--model", str(directory), "--port", *(sys.argv[3:] or ["0"])]
server.main()
