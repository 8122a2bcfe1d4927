"""Checks deploy/kubernetes: against the schemas of the API, and by evaluating its CEL on pods.

usage: kubernetes.py schemas|mutates|leaves FOLDER
"""
import copy
import json
import re
import sys

import yaml

FOLDER = sys.argv[2]


def documents(name):
    with open(f"{FOLDER}/{name}") as file:
        return list(yaml.safe_load_all(file))


def schemas():
    import kubernetes_validate

    for version in ["1.36", "1.37"]:
        for name in ["policy.yaml", "pod.yaml"]:
            for document in documents(name):
                kubernetes_validate.validate(document, version, strict=True)
    # The form for 1.34 and 1.35 that the comment describes.
    for document in documents("policy.yaml"):
        document["apiVersion"] = "admissionregistration.k8s.io/v1beta1"
        kubernetes_validate.validate(document, "1.34", strict=True)
    # A schema that takes everything would prove nothing.
    for path in ["spec.mutations", "spec.failurePolicy"]:
        wrong = documents("policy.yaml")[0]
        wrong["spec"][path.split(".")[1]] = 7
        try:
            kubernetes_validate.validate(wrong, "1.37", strict=True)
        except kubernetes_validate.ValidationError:
            continue
        sys.exit(f"a wrong {path} was taken")


class Policy:
    """The policy's expressions, as cel-cpp evaluates them."""

    def __init__(self):
        from cel_expr_python import cel
        from cel_expr_python.ext import ext_strings
        from google.protobuf import descriptor_pb2, descriptor_pool

        self.file = descriptor_pb2.FileDescriptorProto(name="object.proto", syntax="proto3")
        # The part of a Pod's schema that the policy writes. Names are those of the API: see schemas() for their truth,
        # since what comes out is held against the schema of a Pod.
        container = {"name": str, "volumeMounts": [{"name": str, "mountPath": str, "subPath": str, "readOnly": bool}],
                     "env": [{"name": str, "value": str}]}
        self.message("Object", {"spec": {
            "volumes": [{"name": str, "image": {"reference": str, "pullPolicy": str}}],
            "containers": [container],
            "initContainers": [container],
        }})
        pool = descriptor_pool.DescriptorPool()
        pool.Add(self.file)
        self.env = cel.NewEnv(descriptor_pool=pool, variables={"object": cel.Type.DYN},
                              extensions=[ext_strings.ExtStrings()])
        spec = documents("policy.yaml")[0]["spec"]
        self.conditions = [self.compile(condition["expression"]) for condition in spec["matchConditions"]]
        self.mutation = self.compile(spec["mutations"][0]["applyConfiguration"]["expression"])

    def message(self, name, fields):
        from google.protobuf import descriptor_pb2

        field_type = descriptor_pb2.FieldDescriptorProto
        message = self.file.message_type.add(name=name)
        for number, (key, kind) in enumerate(fields.items(), 1):
            field = message.field.add(name=key, json_name=key, number=number, label=field_type.LABEL_OPTIONAL)
            if isinstance(kind, list):
                field.label = field_type.LABEL_REPEATED
                kind = kind[0]
            if isinstance(kind, dict):
                field.type = field_type.TYPE_MESSAGE
                field.type_name = f".{name}_{key}"
                self.message(f"{name}_{key}", kind)
            else:
                field.type = field_type.TYPE_STRING if kind is str else field_type.TYPE_BOOL

    def compile(self, expression):
        # Kubernetes names types by the path of their field; protocol buffers cannot have a type and a field of one name.
        return self.env.compile(re.sub(r"\bObject(\.\w+)+(?=\{)", lambda m: m[0].replace(".", "_"), expression))

    def is_meant(self, pod):
        return all(condition.eval(data={"object": pod}).plain_value() for condition in self.conditions)

    def apply(self, pod):
        from google.protobuf import json_format

        result = self.mutation.eval(data={"object": pod}).plain_value()
        patch = json_format.MessageToDict(result, preserving_proto_field_name=True)
        return merged(pod, patch)


# x-kubernetes-list-map-keys of the lists in question.
KEYS = {"volumes": "name", "containers": "name", "initContainers": "name", "env": "name", "volumeMounts": "mountPath"}


def merged(old, new, name=None):
    """As server-side apply merges: objects by field, these lists by key, the rest is replaced."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merged(old.get(key), value, key) for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list) and name in KEYS:
        key = KEYS[name]
        out = copy.deepcopy(old)
        for item in new:
            at = next((i for i, present in enumerate(out) if present.get(key) == item[key]), None)
            if at is None:
                out.append(item)
            else:
                out[at] = merged(out[at], item)
        return out
    return copy.deepcopy(new)


LIBRARY = "/usr/lib/evercall/$LIB/libevercall.so"
MOUNT = {"name": "evercall", "mountPath": "/usr/lib/evercall", "subPath": "usr/lib/evercall", "readOnly": True}
SECRET = {"name": "LD_PRELOAD", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}


def pod(*containers, init=None, labels={"org.evercall.inject": "true"}, annotations=None, **spec):
    named = [{"name": f"c{i}", "image": "i", **container} for i, container in enumerate(containers)]
    out = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": named, **spec}}
    if init is not None:
        out["spec"]["initContainers"] = [{"name": f"i{i}", "image": "i", **c} for i, c in enumerate(init)]
    if labels is not None:
        out["metadata"]["labels"] = labels
    if annotations is not None:
        out["metadata"]["annotations"] = annotations
    return out


def preload(container):
    values = [entry.get("value") for entry in container.get("env", []) if entry["name"] == "LD_PRELOAD"]
    assert len(values) <= 1, values
    return values[0] if values else None


def equal(found, due):
    if found != due:
        sys.exit(f"found {json.dumps(found)}\ndue   {json.dumps(due)}")


def mutates():
    import kubernetes_validate

    policy = Policy()
    other = {"name": "A", "value": "1"}
    before = pod(
        {},
        {"env": [other, {"name": "LD_PRELOAD", "value": "/x.so:/y.so"}], "volumeMounts": [{"name": "v", "mountPath": "/v"}]},
        {"env": [SECRET]},
        {"env": [{"name": "LD_PRELOAD", "value": ""}]},
        {"env": [{"name": "LD_PRELOAD"}]},
        {"env": [{"name": "LD_PRELOAD", "value": "/opt/libevercall.so"}]},
        {"volumeMounts": [{"name": "v", "mountPath": "/usr/lib/evercall"}]},
        init=[{}, {"env": [SECRET]}, {"restartPolicy": "Always", "env": [{"name": "LD_PRELOAD", "value": "/x.so"}]}],
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    equal(policy.is_meant(before), True)
    after = policy.apply(before)
    kubernetes_validate.validate(after, "1.37", strict=True)
    containers = after["spec"]["containers"]
    equal([preload(container) for container in containers],
          [LIBRARY, LIBRARY + ":/x.so:/y.so", None, LIBRARY, LIBRARY, "/opt/libevercall.so", None])
    equal([MOUNT in container.get("volumeMounts", []) for container in containers],
          [True, True, False, True, True, False, False])
    equal(containers[1]["env"][0], other)
    equal(containers[1]["volumeMounts"], [{"name": "v", "mountPath": "/v"}, MOUNT])
    for left in [2, 5, 6]:
        equal(containers[left], before["spec"]["containers"][left])
    equal([preload(container) for container in after["spec"]["initContainers"]],
          [LIBRARY, None, LIBRARY + ":/x.so"])
    equal(after["spec"]["volumes"], [{"name": "v", "emptyDir": {}}, {"name": "evercall", "image": {
        "reference": "registry.example/evercall:0.1.0", "pullPolicy": "IfNotPresent"}}])
    # Nothing else: taking ours away gives what was there.
    equal({**after, "spec": None}, {**before, "spec": None})
    equal(sorted(after["spec"]), sorted(before["spec"]))

    # Once more, as IfNeeded has it: the same.
    equal(policy.is_meant(after), True)
    equal(policy.apply(after), after)
    # A pod with nothing in it; the annotation does as the label does; the example.
    for small in [pod({}), pod({}, labels=None, annotations={"org.evercall.inject": "true"}), *documents("pod.yaml")]:
        equal(policy.is_meant(small), True)
        after = policy.apply(small)
        kubernetes_validate.validate(after, "1.37", strict=True)
        equal(preload(after["spec"]["containers"][0]), LIBRARY)
        equal(policy.apply(after), after)


def leaves():
    policy = Policy()
    for left in [
        pod({}, labels=None),
        pod({}, labels={}),
        pod({}, labels={"org.evercall.inject": "false"}),
        pod({}, labels={"org.evercall.inject": "True"}),
        pod({}, labels={"other": "true"}, annotations={"other": "true"}),
        pod({}, volumes=[{"name": "evercall", "emptyDir": {}}]),
        pod({}, os={"name": "windows"}),
    ]:
        equal(policy.is_meant(left), False)
    equal(policy.is_meant(pod({}, os={"name": "linux"})), True)
    equal(policy.is_meant(pod({}, volumes=[{"name": "evercall", "image": {"reference": "x"}}])), True)


{"schemas": schemas, "mutates": mutates, "leaves": leaves}[sys.argv[1]]()
