-- verify newton -> ocata
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It reads the tables and locks nothing. It makes sense between expand and contract.
set names utf8mb4;
select 'images: is_public <-> visibility' as `what`, count(*) as `rows`
from images
where not (is_public <=> (visibility = 'public')) and not (binary convert(visibility using utf8mb4) <=> binary convert((case when is_public then 'public' else 'shared' end) using utf8mb4)) and not (binary convert(visibility using utf8mb4) <=> binary convert((case when images.is_public then 'public'
     when exists (select 1 from image_members m where m.image_id = images.id and not m.deleted) then 'shared'
     else 'private' end) using utf8mb4))
order by `what`;
