//! Bodies of api-versions that have no OpenAPI file here, but schemas or types of their resources.

use serde_json::Value;

use crate::contract::State;
use crate::dialects::bicep::BicepTypes;
use crate::dialects::json_schema::JsonSchema;
use crate::exchange::Exchange;
use crate::outcome::{Finding, Rule};
use crate::resource::Target;
use crate::shape::{List, Object, Property, Shape, ShapeId, Slot};
use crate::validate::{Side, Validator};

/// What is known of the bodies of an exchange from its own api-version.
#[derive(Debug, Default)]
pub(crate) struct TypedBodies {
    pub(crate) request: Option<ShapeId>,
    pub(crate) response: Option<ShapeId>,
    /// What the JSON schema for templates says of a request; it knows no read-only properties.
    put: Option<ShapeId>,
}

impl State {
    /// The bodies of an exchange, as far as its own api-version's schemas and types tell.
    pub(crate) fn typed_bodies(&mut self, exchange: &Exchange, version: &str) -> TypedBodies {
        let Some(target) = Target::of(&exchange.path) else { return TypedBodies::default() };
        let version = version.to_lowercase();
        let mut bodies = TypedBodies::default();
        match (exchange.method.as_str(), target.rest.as_str()) {
            ("PUT", "") => {
                let resource = self.resource(&target.type_, &version);
                (bodies.request, bodies.response) = (resource, resource);
                bodies.put = self.put_schema(&target, &version);
            }
            // What a PATCH takes is less than the resource, and not among the types.
            ("GET" | "PATCH", "") => bodies.response = self.resource(&target.type_, &version),
            ("GET", _) => {
                let item = self.resource(&target.item_type(), &version);
                bodies.response = item.map(|item| self.page_of(item));
            }
            ("POST", action) if !action.is_empty() => {
                let function = self.types(&version, |types, documents, shapes| {
                    types.function(&target.type_, &version, action, documents, shapes)
                });
                if let Some(function) = function {
                    (bodies.request, bodies.response) = (function.input, function.output);
                }
            }
            _ => {}
        }
        bodies
    }

    fn resource(&mut self, type_: &str, version: &str) -> Option<ShapeId> {
        self.types(version, |types, documents, shapes| types.resource(type_, version, documents, shapes))
    }

    /// `{"value": [item, …], "nextLink": …}`.
    fn page_of(&mut self, item: ShapeId) -> ShapeId {
        let items = self.shapes.add(Shape::List(List { items: item.into(), min: None, max: None }));
        let link = self.shapes.add(Shape::Text(crate::shape::Text::default()));
        let value = Property { required: true, ..Property::from(Slot::from(items)) };
        // A list's last page may say so with a null (ARM RPC, resource-api-reference).
        let link = Property::from(Slot { shape: link, nullable: true });
        let properties = [("value".to_owned(), value), ("nextLink".to_owned(), link)].into();
        self.shapes.add(Shape::Object(Object { properties, ..Object::default() }))
    }

    fn types<T>(
        &mut self,
        version: &str,
        mut find: impl FnMut(&mut BicepTypes, &mut crate::documents::Documents, &mut crate::shape::Shapes) -> Option<T>,
    ) -> Option<T> {
        let Self { folder, documents, shapes, types, .. } = self;
        let files = folder.types.get(version)?;
        let types = types.entry(version.to_owned());
        let types = types.or_insert_with(|| files.iter().map(|path| BicepTypes::read(path, documents)).collect());
        types.iter_mut().find_map(|types| find(types, documents, shapes))
    }

    fn put_schema(&mut self, target: &Target, version: &str) -> Option<ShapeId> {
        let Self { folder, documents, shapes, schemas, .. } = self;
        let files = folder.schemas.get(version)?;
        let schemas = schemas.entry(version.to_owned());
        let schemas = schemas.or_insert_with(|| files.iter().map(|path| JsonSchema::read(path, documents)).collect());
        schemas.iter_mut().find_map(|schema| schema.put(&target.type_, documents, shapes))
    }
}

impl TypedBodies {
    /// What is wrong with a request's body, if anything is known of it.
    pub(crate) fn check_request(&self, state: &State, body: &Value) -> Option<Vec<Finding>> {
        let check = |shape: ShapeId| {
            Validator::new(&state.shapes, Side::Request, true, "request body").check(shape.into(), body)
        };
        let typed = self.request.map(check);
        let put = self.put.map(check);
        let Some(mut findings) = typed else { return put };
        for finding in put.unwrap_or_default() {
            // The types know more properties than the template's schema, which leaves out what is read-only.
            if finding.rule != Rule::UnknownProperty && !findings.contains(&finding) {
                findings.push(finding);
            }
        }
        Some(findings)
    }
}
