//! The JSON schemas for templates (`<provider>.schema.json`, draft 4): what a PUT may contain.
//!
//! Only their own idioms are understood: a value "or an expression", and an object told by a constant of one property.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::{strings, text};
use crate::documents::Documents;
use crate::shape::{Additional, Discriminator, List, Number, Object, Property, Shape, ShapeId, Shapes, Slot, Text};

/// What a resource of a template has that does not travel in a request's body.
const TEMPLATE_ONLY: [&str; 4] = ["apiVersion", "name", "type", "resources"];

/// One file of schemas.
#[derive(Debug)]
pub(crate) struct JsonSchema {
    document: Arc<Value>,
    known: HashMap<String, ShapeId>,
}

impl JsonSchema {
    pub(crate) fn read(path: &Path, documents: &mut Documents) -> Self {
        Self { document: documents.read(path), known: HashMap::new() }
    }

    /// The body of a PUT; `type_` is the full type of the resource, namespace and all.
    pub(crate) fn put(&mut self, type_: &str, documents: &mut Documents, shapes: &mut Shapes) -> Option<ShapeId> {
        let resources = self.document["resourceDefinitions"].as_object()?;
        let described = resources
            .values()
            .find(|resource| resource["description"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(type_)));
        let mut resource = described?.clone();
        let properties = resource["properties"].as_object_mut()?;
        properties.retain(|name, _| !TEMPLATE_ONLY.contains(&name.as_str()));
        let required = resource["required"].as_array_mut()?;
        required.retain(|name| !TEMPLATE_ONLY.iter().any(|only| name == only));
        Some(self.slot(&resource, documents, shapes).shape)
    }

    fn slot(&mut self, schema: &Value, documents: &mut Documents, shapes: &mut Shapes) -> Slot {
        let schema = value_itself(schema);
        let Some(reference) = schema["$ref"].as_str() else {
            return Slot::from(self.describe(schema, documents, shapes));
        };
        if let Some(shape) = self.known.get(reference) {
            return Slot::from(*shape);
        }
        let shape = shapes.reserve();
        self.known.insert(reference.to_owned(), shape);
        let pointer = reference.split_once('#').map_or("", |(_, pointer)| pointer);
        let target = self.document.pointer(pointer).cloned().unwrap_or_default();
        let described = self.shape(&target, documents, shapes);
        shapes.set(shape, described);
        Slot::from(shape)
    }

    fn describe(&mut self, schema: &Value, documents: &mut Documents, shapes: &mut Shapes) -> ShapeId {
        let shape = self.shape(schema, documents, shapes);
        shapes.add(shape)
    }

    fn shape(&mut self, schema: &Value, documents: &mut Documents, shapes: &mut Shapes) -> Shape {
        if let Some([base, variants]) = schema["allOf"].as_array().map(Vec::as_slice) {
            let alternatives = variants["oneOf"].as_array().map_or([].as_slice(), Vec::as_slice);
            return Shape::Object(self.discriminated(base, alternatives, documents, shapes));
        }
        match schema["type"].as_str() {
            Some("object") => Shape::Object(self.object(schema, documents, shapes)),
            Some("array") => Shape::List(List {
                items: self.slot(&schema["items"], documents, shapes),
                min: schema["minItems"].as_u64(),
                max: schema["maxItems"].as_u64(),
            }),
            Some("boolean") => Shape::Boolean,
            Some(type_ @ ("integer" | "number")) => Shape::Number(Number {
                integer: type_ == "integer",
                minimum: schema["minimum"].as_f64(),
                maximum: schema["maximum"].as_f64(),
                ..Number::default()
            }),
            // These schemas list the values of open and closed enumerations alike.
            Some("string") => {
                Shape::Text(Text { values: strings(&schema["enum"]), open: true, ..text(schema, documents) })
            }
            _ => Shape::Any,
        }
    }

    fn object(&mut self, schema: &Value, documents: &mut Documents, shapes: &mut Shapes) -> Object {
        let required = strings(&schema["required"]);
        let mut properties = BTreeMap::new();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let slot = self.slot(property, documents, shapes);
            properties.insert(name.clone(), Property { required: required.contains(name), ..Property::from(slot) });
        }
        let additional = match &schema["additionalProperties"] {
            described @ Value::Object(_) => Additional::Of(self.slot(described, documents, shapes)),
            _ => Additional::Unmentioned,
        };
        Object { properties, additional, discriminator: None }
    }

    /// `allOf: [base, {oneOf: [{allOf: [variant, {properties: {<name>: {const: <value>}}}]}]}]`.
    fn discriminated(
        &mut self,
        base: &Value,
        alternatives: &[Value],
        documents: &mut Documents,
        shapes: &mut Shapes,
    ) -> Object {
        let mut object = self.object(base, documents, shapes);
        let mut found: Option<Discriminator> = None;
        for alternative in alternatives {
            let Some([variant, told]) = alternative["allOf"].as_array().map(Vec::as_slice) else { continue };
            let told = told["properties"].as_object().and_then(|properties| properties.iter().next());
            let Some((property, value)) = told.and_then(|(name, told)| Some((name, told["const"].as_str()?))) else {
                continue;
            };
            let slot = self.slot(variant, documents, shapes);
            let mut variant = match shapes.get(slot.shape) {
                Shape::Object(own) => {
                    Object { properties: own.properties.clone(), additional: own.additional, discriminator: None }
                }
                _ => continue,
            };
            for (name, property) in &object.properties {
                variant.properties.entry(name.clone()).or_insert_with(|| property.clone());
            }
            let shape = shapes.add(Shape::Object(variant));
            let discriminator =
                found.get_or_insert_with(|| Discriminator { property: property.clone(), variants: BTreeMap::new() });
            discriminator.variants.insert(value.to_owned(), shape);
        }
        object.discriminator = found;
        object
    }
}

/// Of `oneOf: [value, expression]` the value, for expressions are resolved before a request is made.
fn value_itself(schema: &Value) -> &Value {
    match schema["oneOf"].as_array().map(Vec::as_slice) {
        Some([value, other]) if other["$ref"].as_str().is_some_and(|name| name.ends_with("/expression")) => value,
        _ => schema,
    }
}
