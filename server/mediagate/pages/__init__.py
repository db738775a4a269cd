"""What a browser opens: files of this package, whole in memory once somebody has asked for them.

`console` and `docs` are folders with an `index.html`; `openapi.json` is made of the protos.
"""
