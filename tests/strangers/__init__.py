"""FHIR servers that none of us wrote, or could have been: small, over real HTTP, each strange in its own way.

`Stranger(traits)` is started on 127.0.0.1; `resources` builds what a hospital puts on it; `plain` reads it back with
nothing but http.client, as a reviewer would.
"""
