-- verify newton -> ocata
--
-- Counts the rows on which the two shapes disagree; every count is 0 when migrate is done.
-- It only reads. It makes sense between expand and contract.
select 'images: is_public <-> visibility' as what, count(*) as rows
from images
where is_public is not cast((visibility = 'public') as numeric) and visibility is not cast((case when is_public then 'public' else 'shared' end) as text) and visibility is not cast((case when images.is_public then 'public'
     when exists (select 1 from image_members m where m.image_id = images.id and not m.deleted) then 'shared'
     else 'private' end) as text)
order by what;
