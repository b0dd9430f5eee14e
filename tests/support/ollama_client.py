"""What Ollama's own Python client makes of the fake: python ollama_client.py URL

Each step is a line of output; a client that is not content ends it with a traceback.
"""

import sys

import ollama

client = ollama.Client(host=sys.argv[1], timeout=20)
ask = {"model": "tiny", "messages": [{"role": "user", "content": "hi"}]}

models = client.list().models
print("list", [model.model for model in models], models[0].details.family)
shown = client.show("tiny")
print("show", shown.modelinfo["llama.context_length"], shown.capabilities)

whole = client.chat(**ask, options={"num_predict": 4})
print("chat", len(whole.message.content.split()), whole.done_reason, whole.eval_count)
parts = list(client.chat(**ask, options={"num_predict": 4}, stream=True))
text = "".join(part.message.content for part in parts)
print("stream", text == whole.message.content, parts[-1].done, parts[-1].done_reason)

tools = [{"type": "function", "function": {"name": "plant", "parameters": {"type": "object", "properties": {}}}}]
call = client.chat(**ask, tools=tools).message.tool_calls[0]
print("tools", call.function.name, call.function.arguments)

text = client.generate("tiny", "Once", options={"num_predict": 3})
print("generate", len(text.response.split()), text.done_reason)

print("loaded", [model.model for model in client.ps().models])
print("unload", client.generate("tiny", keep_alive=0).done_reason, client.ps().models)

for name, question in {
    "missing": {**ask, "model": "absent"},
    "too long": {"model": "tiny", "messages": [{"role": "user", "content": "word " * 9000}]},
}.items():
    try:
        extra = {} if name == "missing" else {"truncate": False}
        # The client of this version has no parameter for it, so the request is made below its surface.
        client._request(ollama.ChatResponse, "POST", "/api/chat", json={**question, **extra, "stream": False})
        print(name, "was answered")
    except ollama.ResponseError as error:
        print(name, error.status_code, "context" in str(error) or "not found" in str(error))
