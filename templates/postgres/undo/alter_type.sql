do $crossfade$
begin
  if exists (select from crossfade.journal where release = {{ release }} and step = {{ step }} and finished_at is not null) then
    alter table {{ table }} alter column {{ column }} type {{ type }};
    delete from crossfade.journal where release = {{ release }} and step = {{ step }};
  end if;
end
$crossfade$;
analyze {{ table }} ({{ column }});
