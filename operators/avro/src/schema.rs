//! An Avro schema, read from its JSON form: nodes that name one another by number, so that a schema may refer to itself.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// The number of a node.
pub type NodeId = usize;

/// A schema.
pub struct Schema {
    nodes: Vec<Node>,
    root: NodeId,
}

/// A type. A logical type is the type below it.
pub enum Node {
    Null,
    Boolean,
    /// `int` and `long`, which are written alike.
    Integer,
    Float,
    Double,
    Bytes,
    Text,
    /// Names and types of the fields.
    Record(Vec<(String, NodeId)>),
    Enum(Vec<String>),
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
    /// Bytes of this number.
    Fixed(usize),
}

impl Schema {
    /// Reads a schema, or says where it is wrong.
    pub fn parse(schema: &Value) -> Result<Schema, String> {
        let mut parser = Parser::default();
        let root = parser.node(schema, "")?;
        Ok(Schema { nodes: parser.nodes, root })
    }

    pub fn root(&self) -> NodeId {
        self.root
    }

    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }
}

#[derive(Default)]
struct Parser {
    nodes: Vec<Node>,
    /// By full name.
    named: BTreeMap<String, NodeId>,
}

impl Parser {
    fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// `space` is the namespace around it.
    fn node(&mut self, schema: &Value, space: &str) -> Result<NodeId, String> {
        match schema {
            Value::String(name) => self.by_name(name, space),
            Value::Array(branches) => {
                let branches: Result<_, _> = branches.iter().map(|branch| self.node(branch, space)).collect();
                Ok(self.add(Node::Union(branches?)))
            }
            Value::Object(object) => self.object(object, space),
            other => Err(format!("expected a type, found {other}")),
        }
    }

    fn by_name(&mut self, name: &str, space: &str) -> Result<NodeId, String> {
        let primitive = match name {
            "null" => Node::Null,
            "boolean" => Node::Boolean,
            "int" | "long" => Node::Integer,
            "float" => Node::Float,
            "double" => Node::Double,
            "bytes" => Node::Bytes,
            "string" => Node::Text,
            _ => {
                let found = self.named.get(&full(name, space)).or_else(|| self.named.get(name));
                return found.copied().ok_or_else(|| format!("there is no type \"{name}\""));
            }
        };
        Ok(self.add(primitive))
    }

    fn object(&mut self, object: &Map<String, Value>, space: &str) -> Result<NodeId, String> {
        let member = |name: &str| object.get(name).ok_or_else(|| format!("\"{name}\" is missing"));
        let kind = match member("type")? {
            Value::String(kind) => kind.as_str(),
            // A type that is wrapped, as a logical type may be.
            other => return self.node(other, space),
        };
        match kind {
            "array" => {
                let items = self.node(member("items")?, space)?;
                Ok(self.add(Node::Array(items)))
            }
            "map" => {
                let values = self.node(member("values")?, space)?;
                Ok(self.add(Node::Map(values)))
            }
            "record" | "error" => {
                let (id, space) = self.declare(object, space)?;
                let fields = member("fields")?.as_array().ok_or("\"fields\" is no list")?;
                let field = |field: &Value| {
                    let name = field["name"].as_str().ok_or("a field has no name")?;
                    let of = self.node(&field["type"], &space).map_err(|why| format!("{name}: {why}"))?;
                    Ok((name.to_owned(), of))
                };
                let fields: Result<_, String> = fields.iter().map(field).collect();
                self.nodes[id] = Node::Record(fields?);
                Ok(id)
            }
            "enum" => {
                let (id, _) = self.declare(object, space)?;
                let symbols = member("symbols")?.as_array().ok_or("\"symbols\" is no list")?;
                let text = |symbol: &Value| symbol.as_str().map(str::to_owned).ok_or("a symbol is no text");
                self.nodes[id] = Node::Enum(symbols.iter().map(text).collect::<Result<_, _>>()?);
                Ok(id)
            }
            "fixed" => {
                let (id, _) = self.declare(object, space)?;
                let size = member("size")?.as_u64().and_then(|size| usize::try_from(size).ok());
                self.nodes[id] = Node::Fixed(size.ok_or("\"size\" is no number of bytes")?);
                Ok(id)
            }
            name => self.by_name(name, space),
        }
    }

    /// Gives a named type its number before its parts are read, for they may name it. Returns the namespace in it too.
    fn declare(&mut self, object: &Map<String, Value>, space: &str) -> Result<(NodeId, String), String> {
        let name = object.get("name").and_then(Value::as_str).ok_or("a named type has no name")?;
        let given = object.get("namespace").and_then(Value::as_str).unwrap_or(space);
        let name = full(name, given);
        let id = self.add(Node::Null);
        let space = name.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
        match self.named.insert(name.clone(), id) {
            Some(_) => Err(format!("the type \"{name}\" is there twice")),
            None => Ok((id, space)),
        }
    }
}

/// A name with a dot is full already.
fn full(name: &str, space: &str) -> String {
    match space.is_empty() || name.contains('.') {
        true => name.to_owned(),
        false => format!("{space}.{name}"),
    }
}
