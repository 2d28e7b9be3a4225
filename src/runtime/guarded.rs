//! Objects as they are read from the API server: without what nothing here reads, and each for itself, so that a malformed one
//! does not stop the watch for the others.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::error_boundary::InvalidObject;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, de};
use serde_json::{Map, Value};

/// An object that may turn out unreadable.
///
/// kube's `DeserializeGuard` does the same, and keeps the whole text of each object twice while it reads it. Managed fields and
/// the copy that kubectl keeps in an annotation are most of an object's text (three quarters, measured): here they are passed over
/// while reading, which halves the time of a start with ten thousand objects, and the memory it leaves behind.
#[derive(Clone, Debug)]
pub struct Guarded<K>(pub Result<K, InvalidObject>);

impl<'de, K: DeserializeOwned> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Part::Object.deserialize(deserializer)?;
        let unreadable = |error: serde_json::Error| {
            let metadata =
                object.get("metadata").map(ObjectMeta::deserialize).transpose().map_err(de::Error::custom)?;
            Ok(Err(InvalidObject { error: error.to_string(), metadata: metadata.unwrap_or_default() }))
        };
        K::deserialize(&object).map(Ok).or_else(unreadable).map(Self)
    }
}

/// What is being read: which members are passed over depends on that.
#[derive(Clone, Copy)]
enum Part {
    Object,
    Metadata,
    Annotations,
}

impl Part {
    fn passes_over(self, name: &str) -> bool {
        match self {
            Self::Object => false,
            Self::Metadata => name == "managedFields",
            Self::Annotations => name == "kubectl.kubernetes.io/last-applied-configuration",
        }
    }

    fn inner(self, name: &str) -> Option<Self> {
        match (self, name) {
            (Self::Object, "metadata") => Some(Self::Metadata),
            (Self::Metadata, "annotations") => Some(Self::Annotations),
            _ => None,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Part {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            if self.passes_over(&name) {
                members.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = match self.inner(&name) {
                Some(inner) => members.next_value_seed(inner)?,
                None => members.next_value()?,
            };
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        self.0.as_ref().map_or_else(|unreadable| &unreadable.metadata, K::meta)
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        self.0.as_mut().map_or_else(|unreadable| &mut unreadable.metadata, K::meta_mut)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::OutboundRule;

    fn read(change: impl FnOnce(&mut Value)) -> Guarded<OutboundRule> {
        let mut object = json!({
            "apiVersion": "aml-operator.io/v1alpha1", "kind": "OutboundRule",
            "metadata": {
                "name": "r", "namespace": "team", "uid": "u", "generation": 3,
                "managedFields": [{"manager": "m", "fieldsV1": {"f:spec": {}}}],
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}", "aml-operator.io/reconcile-at": "now"},
            },
            "spec": {"workspaceRef": {"name": "fraud"}, "fqdn": "pytorch.org"},
        });
        change(&mut object);
        serde_json::from_str(&object.to_string()).unwrap()
    }

    #[test]
    fn what_nothing_reads_is_passed_over_and_the_rest_is_there() {
        let rule = read(|_| {});
        assert_eq!(rule.meta().managed_fields, None);
        let annotations: Vec<&String> = rule.meta().annotations.iter().flat_map(|all| all.keys()).collect();
        assert_eq!(annotations, ["aml-operator.io/reconcile-at"]);
        let rule = rule.0.unwrap();
        assert_eq!((rule.metadata.generation, rule.spec.fqdn.as_deref()), (Some(3), Some("pytorch.org")));
    }

    #[test]
    fn an_unreadable_object_is_one_and_keeps_its_metadata() {
        let rule = read(|object| object["spec"]["deletionPolicy"] = "Novel".into());
        assert!(rule.0.as_ref().unwrap_err().error.contains("Novel"));
        assert_eq!((rule.meta().name.as_deref(), rule.meta().generation), (Some("r"), Some(3)));
        assert!(read(|object| object["spec"] = "odd".into()).0.is_err());
        assert!(read(|object| object["metadata"]["annotations"] = Value::Null).0.is_ok());
    }
}
