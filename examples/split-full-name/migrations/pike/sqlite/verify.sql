-- verify ocata -> pike
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It only reads. It makes sense between expand and contract.
select 'users: full_name <-> first_name, last_name' as what, count(*) as rows
from users
where full_name is not cast((coalesce(first_name || ' ' || last_name, first_name, last_name)) as text) and (first_name is not cast((substr(full_name, 1, instr(full_name || ' ', ' ') - 1)) as text) or last_name is not cast((substr(full_name, nullif(instr(full_name, ' '), 0) + 1)) as text))
order by what;
