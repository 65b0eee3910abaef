-- Nothing is changed unless migrate has finished.
{{ latest }}
insert into crossfade_gate select concat('contract of ', {{ release }}, ' can''t run before its expand has finished: run expand.sql first')
  from dual where not (@crossfade_latest <=> {{ release }}) or @crossfade_phase = 'begun';
insert into crossfade_gate select concat('contract of ', {{ release }}, ' can''t run before its migrate has finished: run migrate.sql first')
  from dual where @crossfade_phase = 'expand';
insert into crossfade_gate select concat('contract of ', {{ release }}, ' can''t run while crossfade_failing_row holds rows that could not be filled')
  from dual where exists (select * from crossfade_failing_row where `release` = {{ release }});
{%- if versioned %}
insert into crossfade_gate select concat('contract of ', {{ release }}, ' can''t run while a version is drained. Run this first: crossfade ', min(step), ' --undo')
  from crossfade_journal where `release` = {{ release }} and step like 'drain %' having count(*) > 0;
{%- endif %}
