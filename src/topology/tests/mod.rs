//! Tests of the room as a whole: texts in, findings out.
