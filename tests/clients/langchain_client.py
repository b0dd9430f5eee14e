"""LangChain's ChatOpenAI, as it is: `langchain_client.py URL`."""
import sys

from langchain_openai import ChatOpenAI

import story


def chat(options):
    retries = {"max_retries": 0} if "timeout" in options else {}
    options = {"max_tokens": 16, **retries, **options}
    return ChatOpenAI(base_url=sys.argv[1] + "/v1", api_key="any", model="default_model", **options)


class Client:
    def plain(self, prompt, **options):
        return chat(options).invoke(prompt).content

    def stream(self, prompt, **options):
        for chunk in chat(options).stream(prompt):
            if chunk.content:
                yield chunk.content


story.go(Client(), "langchain-openai")
