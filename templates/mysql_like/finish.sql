update crossfade_revision set phase = '{{ phase }}' where `release` = {{ release }} and phase = '{{ before }}';
{{ tidy }}
