-- Nothing is changed unless expand has finished.
{{ latest }}
insert into crossfade_gate select concat('migrate of ', {{ release }}, ' can''t run before its expand has finished: run expand.sql first')
  from dual where not (@crossfade_latest <=> {{ release }}) or @crossfade_phase = 'begun';
insert into crossfade_gate select concat({{ release }}, ' is contracted already: there is nothing to migrate')
  from dual where @crossfade_phase = 'contract';
insert into crossfade_gate select concat('contract of ', {{ release }}, ' has begun: run contract.sql to its end')
  from dual where @crossfade_latest = {{ release }} and @crossfade_phase <> 'contract'
    and exists (select * from crossfade_journal where `release` = {{ release }} and step like 'contract%');
