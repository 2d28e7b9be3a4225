//! What values may look like: one model for all the dialects in which Microsoft describes them.

use std::collections::BTreeMap;

use fancy_regex::Regex;

/// A place in [`Shapes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ShapeId(usize);

/// Use of a shape: the same shape may be nullable in one place only.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) shape: ShapeId,
    pub(crate) nullable: bool,
}

#[derive(Debug, Default)]
pub(crate) enum Shape {
    /// Whatever it likes to be.
    #[default]
    Any,
    Boolean,
    Number(Number),
    Text(Text),
    List(List),
    Object(Object),
}

#[derive(Debug, Default)]
pub(crate) struct Number {
    pub(crate) integer: bool,
    pub(crate) minimum: Option<f64>,
    pub(crate) maximum: Option<f64>,
    /// Whether the limits themselves are outside.
    pub(crate) exclusive: (bool, bool),
}

#[derive(Debug, Default)]
pub(crate) struct Text {
    /// The values known; none if it is no enumeration.
    pub(crate) values: Vec<String>,
    /// Whether other values may come (`x-ms-enum.modelAsString`).
    pub(crate) open: bool,
    pub(crate) pattern: Option<Regex>,
    pub(crate) min_length: Option<u64>,
    pub(crate) max_length: Option<u64>,
    pub(crate) format: Option<Format>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    DateTime,
    Duration,
    Uuid,
    ArmId,
}

#[derive(Debug)]
pub(crate) struct List {
    pub(crate) items: Slot,
    pub(crate) min: Option<u64>,
    pub(crate) max: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct Object {
    pub(crate) properties: BTreeMap<String, Property>,
    pub(crate) additional: Additional,
    pub(crate) discriminator: Option<Discriminator>,
}

#[derive(Clone, Debug)]
pub(crate) struct Property {
    pub(crate) slot: Slot,
    pub(crate) required: bool,
    /// Clients may set it.
    pub(crate) writable: bool,
    /// The service shows it.
    pub(crate) readable: bool,
}

/// What becomes of properties that are not listed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Additional {
    /// Nothing is said; formally anything goes, but nobody knows it.
    #[default]
    Unmentioned,
    Closed,
    Open,
    Of(Slot),
}

/// A property whose value tells the object's real shape.
#[derive(Debug)]
pub(crate) struct Discriminator {
    pub(crate) property: String,
    pub(crate) variants: BTreeMap<String, ShapeId>,
}

/// All shapes; they may refer to one another in circles.
#[derive(Debug, Default)]
pub(crate) struct Shapes {
    all: Vec<Shape>,
}

impl Shapes {
    /// A place for a shape that is to be described later, so that its own parts can refer to it.
    pub(crate) fn reserve(&mut self) -> ShapeId {
        self.add(Shape::Any)
    }

    pub(crate) fn set(&mut self, id: ShapeId, shape: Shape) {
        if let Some(place) = self.all.get_mut(id.0) {
            *place = shape;
        }
    }

    pub(crate) fn add(&mut self, shape: Shape) -> ShapeId {
        self.all.push(shape);
        ShapeId(self.all.len() - 1)
    }

    pub(crate) fn get(&self, id: ShapeId) -> &Shape {
        self.all.get(id.0).unwrap_or(&Shape::Any)
    }
}

impl From<ShapeId> for Slot {
    fn from(shape: ShapeId) -> Self {
        Self { shape, nullable: false }
    }
}

impl From<Slot> for Property {
    fn from(slot: Slot) -> Self {
        Self { slot, required: false, writable: true, readable: true }
    }
}
