//! Bicep's resource types (bicep-types, `types.json`): what a resource has in requests and in answers.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::text;
use crate::documents::Documents;
use crate::shape::{Additional, Discriminator, List, Number, Object, Property, Shape, ShapeId, Shapes, Text};

/// Flags of a property (bicep-types, `ObjectTypePropertyFlags`).
const REQUIRED: u64 = 1;
const READ_ONLY: u64 = 2;
const WRITE_ONLY: u64 = 4;

/// What an action takes and gives.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Function {
    pub(crate) input: Option<ShapeId>,
    pub(crate) output: Option<ShapeId>,
}

/// One file of types.
#[derive(Debug)]
pub(crate) struct BicepTypes {
    types: Arc<Value>,
    /// Where things stand, by `namespace/type@version` or `namespace/type@version action` in small letters.
    places: HashMap<String, usize>,
    known: HashMap<usize, ShapeId>,
}

impl BicepTypes {
    pub(crate) fn read(path: &Path, documents: &mut Documents) -> Self {
        let types = documents.read(path);
        let mut places = HashMap::new();
        for (index, entry) in types.as_array().into_iter().flatten().enumerate() {
            let text = |name: &str| entry[name].as_str().unwrap_or_default();
            let place = match text("$type") {
                "ResourceType" => text("name").to_owned(),
                "ResourceFunctionType" => format!("{}@{} {}", text("resourceType"), text("apiVersion"), text("name")),
                _ => continue,
            };
            places.insert(place.to_lowercase(), index);
        }
        Self { types, places, known: HashMap::new() }
    }

    /// The body of a resource.
    pub(crate) fn resource(
        &mut self,
        type_: &str,
        version: &str,
        documents: &mut Documents,
        shapes: &mut Shapes,
    ) -> Option<ShapeId> {
        let index = *self.places.get(&format!("{type_}@{version}").to_lowercase())?;
        let body = reference(&self.types[index]["body"])?;
        let mut object = self.types[body].clone();
        // The templates' way of naming the version; it never travels in a body.
        object["properties"].as_object_mut()?.remove("apiVersion");
        // In templates the name is required; in requests it stands in the path.
        object["properties"]["name"]["flags"] = READ_ONLY.into();
        let shape = shapes.reserve();
        self.describe(shape, &object, documents, shapes);
        Some(shape)
    }

    /// What an action on a resource takes and gives.
    pub(crate) fn function(
        &mut self,
        type_: &str,
        version: &str,
        action: &str,
        documents: &mut Documents,
        shapes: &mut Shapes,
    ) -> Option<Function> {
        let index = *self.places.get(&format!("{type_}@{version} {action}").to_lowercase())?;
        let (input, output) = (reference(&self.types[index]["input"]), reference(&self.types[index]["output"]));
        let mut shape = |index: Option<usize>| index.map(|index| self.shape(index, documents, shapes));
        Some(Function { input: shape(input), output: shape(output) })
    }

    fn shape(&mut self, index: usize, documents: &mut Documents, shapes: &mut Shapes) -> ShapeId {
        if let Some(shape) = self.known.get(&index) {
            return *shape;
        }
        let shape = shapes.reserve();
        self.known.insert(index, shape);
        let described = self.types[index].clone();
        self.describe(shape, &described, documents, shapes);
        shape
    }

    fn describe(&mut self, shape: ShapeId, entry: &Value, documents: &mut Documents, shapes: &mut Shapes) {
        let described = match entry["$type"].as_str() {
            Some("StringType") => Shape::Text(text(entry, documents)),
            Some("StringLiteralType") => Shape::Text(literals(&[entry], false)),
            Some("IntegerType") => Shape::Number(Number {
                integer: true,
                minimum: entry["minValue"].as_f64(),
                maximum: entry["maxValue"].as_f64(),
                ..Number::default()
            }),
            Some("BooleanType") => Shape::Boolean,
            Some("UnionType") => self.union(entry),
            Some("ArrayType") => match reference(&entry["itemType"]) {
                Some(items) => Shape::List(List {
                    items: self.shape(items, documents, shapes).into(),
                    min: entry["minLength"].as_u64(),
                    max: entry["maxLength"].as_u64(),
                }),
                None => Shape::Any,
            },
            Some("ObjectType") => Shape::Object(self.object(entry, &entry["properties"], documents, shapes)),
            Some("DiscriminatedObjectType") => Shape::Object(self.discriminated(entry, documents, shapes)),
            _ => Shape::Any,
        };
        shapes.set(shape, described);
    }

    /// Strings with (open) or without (closed) the type of all strings among them; other unions are not told apart.
    fn union(&self, entry: &Value) -> Shape {
        let elements = entry["elements"].as_array().into_iter().flatten().filter_map(reference);
        let elements: Vec<&Value> = elements.map(|index| &self.types[index]).collect();
        let is = |element: &&Value, type_: &str| element["$type"] == type_;
        if !elements.iter().all(|element| is(element, "StringLiteralType") || is(element, "StringType")) {
            return Shape::Any;
        }
        Shape::Text(literals(&elements, elements.iter().any(|element| is(element, "StringType"))))
    }

    fn object(&mut self, entry: &Value, properties: &Value, documents: &mut Documents, shapes: &mut Shapes) -> Object {
        let mut object = Object { additional: Additional::Closed, ..Object::default() };
        for (name, property) in properties.as_object().into_iter().flatten() {
            let Some(index) = reference(&property["type"]) else { continue };
            let flags = property["flags"].as_u64().unwrap_or(0);
            let property = Property {
                slot: self.shape(index, documents, shapes).into(),
                required: flags & REQUIRED != 0,
                writable: flags & READ_ONLY == 0,
                readable: flags & WRITE_ONLY == 0,
            };
            object.properties.insert(name.clone(), property);
        }
        if let Some(index) = reference(&entry["additionalProperties"]) {
            object.additional = Additional::Of(self.shape(index, documents, shapes).into());
        }
        object
    }

    fn discriminated(&mut self, entry: &Value, documents: &mut Documents, shapes: &mut Shapes) -> Object {
        let mut base = self.object(entry, &entry["baseProperties"], documents, shapes);
        let mut variants = BTreeMap::new();
        for (value, element) in entry["elements"].as_object().into_iter().flatten() {
            let Some(index) = reference(element) else { continue };
            let element = self.types[index].clone();
            let mut variant = self.object(&element, &element["properties"], documents, shapes);
            for (name, property) in &base.properties {
                variant.properties.entry(name.clone()).or_insert_with(|| property.clone());
            }
            variants.insert(value.clone(), shapes.add(Shape::Object(variant)));
        }
        let property = entry["discriminator"].as_str().unwrap_or_default().to_owned();
        // Reached only without the discriminator, which is always required.
        let missing = shapes.add(Shape::Text(Text::default()));
        let missing = Property { required: true, ..Property::from(crate::shape::Slot::from(missing)) };
        base.properties.insert(property.clone(), missing);
        base.discriminator = Some(Discriminator { property, variants });
        base
    }
}

fn literals(elements: &[&Value], open: bool) -> Text {
    let values = elements.iter().filter_map(|element| element["value"].as_str()).map(str::to_owned).collect();
    Text { values, open, ..Text::default() }
}

/// The index that `{"$ref": "#/17"}` names.
fn reference(value: &Value) -> Option<usize> {
    value["$ref"].as_str()?.strip_prefix("#/")?.parse().ok()
}
