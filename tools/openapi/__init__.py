"""The OpenAPI document of the REST API, made of the protos and of what they do not say (`fragments/`)."""
