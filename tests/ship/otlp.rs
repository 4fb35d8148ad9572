//! As much of OTLP as is looked at.

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Request {
    #[prost(message, repeated, tag = "1")]
    pub(crate) resources: Vec<Resource>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Resource {
    #[prost(message, optional, tag = "1")]
    pub(crate) resource: Option<Attributes>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) scopes: Vec<Scope>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Attributes {
    #[prost(message, repeated, tag = "1")]
    pub(crate) attributes: Vec<KeyValue>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Scope {
    #[prost(message, optional, tag = "1")]
    pub(crate) scope: Option<Name>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) records: Vec<Record>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Name {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Record {
    #[prost(fixed64, tag = "1")]
    pub(crate) time: u64,
    #[prost(int32, tag = "2")]
    pub(crate) severity: i32,
    #[prost(string, tag = "3")]
    pub(crate) severity_text: String,
    #[prost(message, optional, tag = "5")]
    pub(crate) body: Option<Any>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) attributes: Vec<KeyValue>,
    #[prost(fixed64, tag = "11")]
    pub(crate) observed: u64,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct KeyValue {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) value: Option<Any>,
}
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Any {
    #[prost(oneof = "Is", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub(crate) is: Option<Is>,
}
#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Is {
    #[prost(string, tag = "1")]
    String(String),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    Array(List),
    #[prost(message, tag = "6")]
    Map(Attributes),
    #[prost(bytes = "vec", tag = "7")]
    Bytes(Vec<u8>),
}
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct List {
    #[prost(message, repeated, tag = "1")]
    pub(crate) values: Vec<Any>,
}
impl Record {
    pub(crate) fn get(&self, key: &str) -> Option<&Is> {
        self.attributes.iter().find(|pair| pair.key == key)?.value.as_ref()?.is.as_ref()
    }
    pub(crate) fn uid(&self) -> String {
        match self.get("log.record.uid") {
            Some(Is::String(uid)) => uid.clone(),
            other => panic!("log.record.uid is {other:?}"),
        }
    }
    pub(crate) fn text(&self) -> &str {
        match &self.body.as_ref().unwrap().is {
            Some(Is::String(text)) => text,
            other => panic!("the body is {other:?}"),
        }
    }
}
