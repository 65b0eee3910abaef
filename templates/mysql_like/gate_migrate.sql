-- Nothing is changed unless expand has finished.
{{ latest }}
call crossfade_refuse(not (@crossfade_latest <=> {{ release }}) or @crossfade_phase = 'begun',
  concat('migrate of ', {{ release }}, ' can''t run before its expand has finished: run expand.sql first'));
call crossfade_refuse(@crossfade_phase = 'contract', concat({{ release }}, ' is contracted already: there is nothing to migrate'));
