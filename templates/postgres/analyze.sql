analyze {{ table }} ({{ columns }});
