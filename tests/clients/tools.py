"""openai-python and LangChain before a server that calls tools: `tools.py URL`. Tells the calls as one line of JSON."""
import json
import sys

from langchain_openai import ChatOpenAI
from openai import OpenAI

URL = sys.argv[1] + "/v1"
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "Tells the weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
ASK = {
    "model": "default_model",
    "messages": [{"role": "user", "content": "How is the weather in Bern?"}],
    "tools": TOOLS,
    "max_tokens": 400,
}
client = OpenAI(base_url=URL, api_key="any")
chat = ChatOpenAI(base_url=URL, api_key="any", model="default_model", max_tokens=400).bind_tools(TOOLS)


def plain():
    choice = client.chat.completions.create(**ASK).choices[0]
    calls = [[call.function.name, call.function.arguments] for call in choice.message.tool_calls]
    return [choice.message.content, calls, choice.finish_reason]


def streamed():
    # The helper that puts the calls together is the client's own.
    with client.chat.completions.stream(**ASK) as events:
        choice = events.get_final_completion().choices[0]
    calls = [[call.function.name, call.function.arguments] for call in choice.message.tool_calls]
    return [choice.message.content, calls, choice.finish_reason]


def of_langchain(message):
    calls = [[call["name"], json.dumps(call["args"])] for call in message.tool_calls]
    return [message.content, calls, message.response_metadata["finish_reason"]]


def langchain_streamed():
    whole = None
    for chunk in chat.stream("How is the weather in Bern?"):
        whole = chunk if whole is None else whole + chunk
    return of_langchain(whole)


print(
    json.dumps(
        {
            "openai plain": plain(),
            "openai streamed": streamed(),
            "langchain plain": of_langchain(chat.invoke("How is the weather in Bern?")),
            "langchain streamed": langchain_streamed(),
        }
    ),
    flush=True,
)
