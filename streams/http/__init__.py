"""The HTTP API: usage in with its verdicts out, wallets, SIMs, quotes. docs/http.md says how to use it.

app.py puts it together: who calls (keys.py), how often (limits.py), which endpoint (endpoint.py), what is wrong
(problems.py). An endpoint is a line in the table ENDPOINTS of its own module, with the struct it takes and the struct
it answers; routes, checks and the OpenAPI document (openapi.py) are made from those tables, so a new module of
endpoints is one more table in app.py.
"""
