#!/bin/sh
# A foreign optimiser written from the page of the protocol alone: one number, drawn nearer and nearer to zero.
n=0
while read -r line; do
  case $line in
    '{"study"'*) echo '{"ready": true}' ;;
    '{"ask"'*)
      n=$((n + 1))
      echo "{\"config\": {\"x\": $(awk "BEGIN {print 1 / $n}")}}"
      ;;
    '{"tell"'*) echo '{"decision": "continue"}' ;;
  esac
done
