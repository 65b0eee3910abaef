-- A file does not know who holds its lock.
select null, null, null, null, null, null where ?1 is null
