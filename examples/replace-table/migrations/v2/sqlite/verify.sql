-- verify v1 -> v2
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It only reads. It makes sense between expand and contract.
select 'old: b <-> y' as what, count(*) as rows
from old
where b is not cast((case when cast(cast(y as integer) as text) = y then cast(y as integer) end) as numeric) and y is not cast((cast(b as text)) as text)
order by what;
