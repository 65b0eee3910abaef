update crossfade.revision set phase = '{{ phase }}' where release = {{ release }} and phase = '{{ before }}';
