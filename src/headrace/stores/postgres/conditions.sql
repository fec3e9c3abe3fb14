-- name: equal
-- Whether a field of the metadata {of} has a value: alone, or among several. Both can be found by the index over them.
({of} @> {alone}::jsonb or {of} @> {among}::jsonb);

-- name: every
-- Whether a field has each of several values.
{of} @> {among}::jsonb;

-- name: there
-- Whether a field is there.
({of} ? {field}::text);

-- name: number
-- Whether a field is a number beyond another one.
(jsonb_typeof({of} -> {field}::text) = 'number' and {of} -> {field}::text {beyond} {value}::jsonb);

-- name: text
-- Whether a field is a text beyond another one, by code points.
(jsonb_typeof({of} -> {field}::text) = 'string' and ({of} ->> {field}::text) collate "C" {beyond} {value}::text);

-- name: any_said
-- What the index over metadata knows of: documents that have some.
{of} <> '{}';

-- name: of_chunk
-- Whether the present version of the document of a chunk's vector `t` is so. Asked row by row.
(select {holds} from document_versions m
  where m.document = t.document and (m.tenant = %(tenant)s) is true and m.closed_at is null);

-- name: of_every_chunk
-- The same, where it is asked of every row there is: the documents that are so are found first.
t.document in (select m.document from document_versions m
                where m.tenant = %(tenant)s and m.closed_at is null and {holds});
