-- Nothing is changed unless migrate has finished.
{{ latest }}
call crossfade_refuse(not (@crossfade_latest <=> {{ release }}) or @crossfade_phase = 'begun',
  concat('contract of ', {{ release }}, ' can''t run before its expand has finished: run expand.sql first'));
call crossfade_refuse(@crossfade_phase = 'expand',
  concat('contract of ', {{ release }}, ' can''t run before its migrate has finished: run migrate.sql first'));
call crossfade_refuse(exists (select * from crossfade_failing_row where `release` = {{ release }}),
  concat('contract of ', {{ release }}, ' can''t run while crossfade_failing_row holds rows that could not be filled'));
