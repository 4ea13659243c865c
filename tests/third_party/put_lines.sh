#!/bin/sh
# Sends events, one a line, to the independent implementation. The exit status is that of curl,
# which fails for a response of 400 or more (--fail).
exec curl --silent --show-error --fail --max-time 15 \
  --header "Authorization: $TINY_OPERATOR" \
  --header "Content-Type: application/x-ndjson" \
  --data-binary @- --output /dev/null "$TINY_LINES"
