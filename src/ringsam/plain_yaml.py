"""YAML as settings and class names need it: plain values. A few bytes of aliases or brackets could fill any memory."""

import yaml

MAX_CHARACTERS = 1 << 20
MAX_DEPTH = 20  # levels


def read_plain_yaml(text: str) -> object:
    """The document's value; raises ValueError where it is broken, too large or too deep, or has aliases or tags."""
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"more than {MAX_CHARACTERS} characters")
    try:
        depth = 0
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise ValueError(f"*{event.anchor} is an alias; write the value itself")
            if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent) and event.tag:
                raise ValueError(f"{event.tag} is a tag; write the plain value")
            if depth > MAX_DEPTH:
                raise ValueError(f"more than {MAX_DEPTH} levels; write plain values")
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error
