-- A file does not know who has it open.
select null, null, null, null, null, null, null where false
