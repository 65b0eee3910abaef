-- verify v1 -> v2
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It reads the tables and locks nothing. It makes sense between expand and contract.
set names utf8mb4;
select 'old: a <-> x' as `what`, count(*) as `rows`
from old
where not (binary convert(a using utf8mb4) <=> binary convert(x using utf8mb4)) and not (binary convert(x using utf8mb4) <=> binary convert(a using utf8mb4))
union all
select 'old: b <-> y' as `what`, count(*) as `rows`
from old
where not (b <=> cast((case when y regexp '^-?[0-9]{1,10}$' then case when cast(y as signed) between -2147483648 and 2147483647 then cast(y as signed) end end) as signed)) and not (binary convert(y using utf8mb4) <=> binary convert((cast(b as char)) using utf8mb4))
order by `what`;
