//! Schemas of OpenAPI 2.0 with AutoRest's extensions.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::{strings, text};
use crate::documents::{Documents, Place, target};
use crate::shape::{
    Additional, Discriminator, Format, List, Number, Object, Property, Shape, ShapeId, Shapes, Slot, Text,
};

/// Translates schemas, each definition once.
#[derive(Debug, Default)]
pub(crate) struct Swagger {
    known: HashMap<Place, ShapeId>,
}

/// A schema with everything that it takes over by `allOf`.
#[derive(Default)]
struct Merged {
    properties: BTreeMap<String, Property>,
    required: BTreeSet<String>,
    additional: Additional,
    /// The first schema among them that is no object's.
    plain: Option<(Arc<Path>, Value)>,
}

/// A translation under way.
pub(crate) struct Translation<'a> {
    pub(crate) swagger: &'a mut Swagger,
    pub(crate) documents: &'a mut Documents,
    pub(crate) shapes: &'a mut Shapes,
}

impl Translation<'_> {
    /// The shape of a schema that stands in `file`.
    pub(crate) fn slot(&mut self, file: &Arc<Path>, schema: &Value) -> Slot {
        // AutoRest, other than JSON Reference, heeds x-nullable beside a $ref.
        let here = schema["x-nullable"] == true;
        let Some(reference) = schema["$ref"].as_str() else {
            let shape = self.shapes.reserve();
            self.describe(shape, file, schema, None);
            return Slot { shape, nullable: here };
        };
        let place = target(file, reference);
        let nullable = here || self.documents.at(&place)["x-nullable"] == true;
        Slot { shape: self.definition(place), nullable }
    }

    fn definition(&mut self, place: Place) -> ShapeId {
        if let Some(shape) = self.swagger.known.get(&place) {
            return *shape;
        }
        let shape = self.shapes.reserve();
        self.swagger.known.insert(place.clone(), shape);
        let schema = self.documents.at(&place);
        if schema["$ref"].is_string() {
            // An alias: what it leads to is described once more, under this name.
            let (file, schema) = self.documents.followed(&place.file, &schema);
            self.describe(shape, &file, &schema, Some(&place));
        } else {
            self.describe(shape, &place.file.clone(), &schema, Some(&place));
        }
        shape
    }

    fn describe(&mut self, shape: ShapeId, file: &Arc<Path>, schema: &Value, place: Option<&Place>) {
        let mut merged = Merged::default();
        self.merge(&mut merged, file, schema, 0);
        let described = match merged.plain.take() {
            Some((file, plain)) if merged.properties.is_empty() => self.plain(&file, &plain),
            // AutoRest's word for anything at all.
            _ if place.is_none() && is_bare_object(schema) => Shape::Any,
            _ => {
                for (name, property) in &mut merged.properties {
                    property.required = merged.required.contains(name);
                }
                let discriminator = place.and_then(|place| self.discriminator(schema, place));
                Shape::Object(Object { properties: merged.properties, additional: merged.additional, discriminator })
            }
        };
        self.shapes.set(shape, described);
    }

    fn merge(&mut self, merged: &mut Merged, file: &Arc<Path>, schema: &Value, depth: usize) {
        // Inheritance is a few steps deep; what goes on runs in a circle.
        if depth > 16 {
            return;
        }
        for base in schema["allOf"].as_array().into_iter().flatten() {
            let (file, base) = self.documents.followed(file, base);
            self.merge(merged, &file, &base, depth + 1);
        }
        let properties = schema["properties"].as_object();
        let type_ = schema["type"].as_str();
        let plain = type_.map_or(schema["enum"].is_array(), |type_| type_ != "object");
        // Nothing said at all: whatever it likes to be. (`title` and `description` say nothing to a machine.)
        let silent = type_.is_none()
            && ["allOf", "properties", "additionalProperties"].iter().all(|key| schema.get(*key).is_none());
        if properties.is_none() && (plain || silent) {
            merged.plain.get_or_insert_with(|| (file.clone(), schema.clone()));
            return;
        }
        for (name, schema) in properties.into_iter().flatten() {
            let property = self.property(file, schema);
            merged.properties.insert(name.clone(), property);
        }
        merged.required.extend(strings(&schema["required"]));
        match &schema["additionalProperties"] {
            Value::Bool(false) => merged.additional = Additional::Closed,
            Value::Bool(true) => merged.additional = Additional::Open,
            Value::Object(_) => merged.additional = Additional::Of(self.slot(file, &schema["additionalProperties"])),
            _ => {}
        }
    }

    fn property(&mut self, file: &Arc<Path>, schema: &Value) -> Property {
        let slot = self.slot(file, schema);
        let read_only = schema["readOnly"] == true || self.documents.followed(file, schema).1["readOnly"] == true;
        let mutability = schema["x-ms-mutability"].is_array().then(|| strings(&schema["x-ms-mutability"]));
        let may = |what: &[&str]| {
            mutability.as_ref().is_none_or(|allowed| allowed.iter().any(|allowed| what.contains(&allowed.as_str())))
        };
        Property { slot, required: false, writable: !read_only && may(&["create", "update"]), readable: may(&["read"]) }
    }

    fn discriminator(&mut self, schema: &Value, place: &Place) -> Option<Discriminator> {
        let property = schema["discriminator"].as_str()?.to_owned();
        let mut variants = BTreeMap::new();
        for descendant in self.documents.descendants(place) {
            let name = descendant.pointer.rsplit('/').next().unwrap_or_default().to_owned();
            let told = self.documents.at(&descendant)["x-ms-discriminator-value"].as_str().map(str::to_owned);
            variants.insert(told.unwrap_or(name), self.definition(descendant));
        }
        Some(Discriminator { property, variants })
    }

    /// A schema of anything but an object; also of a parameter, whose keywords are the same.
    pub(crate) fn plain(&mut self, file: &Arc<Path>, schema: &Value) -> Shape {
        match schema["type"].as_str() {
            Some("array") => Shape::List(List {
                items: self.slot(file, &schema["items"]),
                min: schema["minItems"].as_u64(),
                max: schema["maxItems"].as_u64(),
            }),
            Some("boolean") => Shape::Boolean,
            Some(type_ @ ("integer" | "number")) => Shape::Number(number(type_, schema)),
            Some("string") => Shape::Text(self.text(schema)),
            None if schema["enum"].is_array() => Shape::Text(self.text(schema)),
            _ => Shape::Any,
        }
    }

    fn text(&mut self, schema: &Value) -> Text {
        Text {
            values: strings(&schema["enum"]),
            open: schema["x-ms-enum"]["modelAsString"] == true,
            format: match schema["format"].as_str() {
                Some("date-time") => Some(Format::DateTime),
                Some("duration") => Some(Format::Duration),
                Some("uuid") => Some(Format::Uuid),
                Some("arm-id") => Some(Format::ArmId),
                _ => None,
            },
            ..text(schema, self.documents)
        }
    }
}

/// `type: object` and not a word about what is in it.
fn is_bare_object(schema: &Value) -> bool {
    let speaks = ["properties", "additionalProperties", "allOf", "discriminator", "$ref"];
    schema["type"] == "object" && speaks.iter().all(|key| schema.get(*key).is_none())
}

fn number(type_: &str, schema: &Value) -> Number {
    let int32 = schema["format"] == "int32";
    Number {
        integer: type_ == "integer",
        minimum: schema["minimum"].as_f64().or(int32.then_some(f64::from(i32::MIN))),
        maximum: schema["maximum"].as_f64().or(int32.then_some(f64::from(i32::MAX))),
        exclusive: (schema["exclusiveMinimum"] == true, schema["exclusiveMaximum"] == true),
    }
}
