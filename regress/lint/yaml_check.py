"""yaml_check.py FILE... : each parses, and repeats no key within a mapping."""
import sys

import yaml


class Loader(yaml.SafeLoader):
    pass


def mapping(loader, node, deep=False):
    seen = set()
    for k, _ in node.value:
        key = loader.construct_object(k, deep=True)
        if str(key) in seen:
            raise yaml.constructor.ConstructorError(
                None, None, "key %r twice" % key, k.start_mark)
        seen.add(str(key))
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
for path in sys.argv[1:]:
    try:
        with open(path) as f:
            list(yaml.load_all(f, Loader))
    except yaml.YAMLError as x:
        print("%s: %s" % (path, str(x).replace("\n", " ")))
