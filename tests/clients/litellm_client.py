"""LiteLLM as a client, not as a proxy: `litellm_client.py URL`."""
import os
import sys

# Its table of prices is taken from the package: nothing is fetched at import.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402

import story  # noqa: E402

litellm.suppress_debug_info = True


def chat(prompt, **options):
    retries = {"max_retries": 0} if "timeout" in options else {}
    options = {"max_tokens": 16, **retries, **options}
    messages = [{"role": "user", "content": prompt}]
    url = sys.argv[1] + "/v1"
    return litellm.completion(model="openai/default_model", api_base=url, api_key="any", messages=messages, **options)


class Client:
    def plain(self, prompt, **options):
        return chat(prompt, **options).choices[0].message.content

    def stream(self, prompt, **options):
        chunks = chat(prompt, stream=True, **options)
        try:
            for chunk in chunks:
                if chunk.choices and chunk.choices[0].delta.content:
                    yield chunk.choices[0].delta.content
        finally:
            close = getattr(chunks, "close", None) or chunks.completion_stream.close
            close()


story.go(Client(), "litellm")
