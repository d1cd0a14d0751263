// The dashboard's page. It reads the API that it is served with, and nothing else.
//
// What tests, and people who write user styles, can hold on to:
//
//   #state[data-state]          connecting, watching, starting, down, ended, disconnected
//   #host #source #rate #gaps #cost #probe #last-tick    the facts of the bar
//   #exact[data-exact]          "true" or "false"; its text says what is missing, by stage
//   #trouble                    why nothing is counted, or since when there is no connection
//   #health-toggle → #health    what is missing by stage, and the cost of each process, as tables
//   #announce                   what a screen reader is told: alerts that fire or are over
//   #rule-errors li[data-code]  rules that can't be loaded; [hidden] where there are none
//   #by button[data-by]         the field that the chart tells drops apart by, [aria-pressed]
//   #window button[data-window] 5m 15m 1h 6h 24h 7d, [aria-pressed]; #live: back from a zoom; #pause
//   #filters li[data-filter][data-label]   one filter each (the label `\0` is null), with a button
//   #chart canvas               the chart; #drops-sum: the sum of its time, and whether it is exact
//   #legend tr[data-series]     a row a series (its label), or [data-rest]; .legend-now .legend-share
//                               .legend-total are cells; the button in it filters
//   #culprits tr[data-culprit]  a row each; [data-field] are its cells, .culprit-rate, .culprit-total
//   #flame-graph g.frame        the flame graph; #flame-sum, #flame-details, #flame-search,
//                               #flame-reset; #flame-table tr[data-stack] is the same as text
//   #alerts [data-fingerprint]  an alert, with [data-state] pending, firing or resolved,
//                               [data-severity], [data-suppressed]; the link in it opens it
//   #alert[open]                the alert that is looked at, [data-fingerprint]; in it #alert-title,
//                               #alert-silence, #alert-close, #alert-evidence, #alert-timeline li[data-kind]
//   #silence-dialog[open]       .matcher inputs, [name=duration], [name=own], [name=author],
//                               [name=comment], #silence-submit, #silence-error
//   #silences [data-silence]    with [data-state] and, where it isn't over, a button.expire
//   #rules [data-rule]          with [data-state]; .plan is what runs where
//   #outbox [data-message]      with [data-state], button.retry and button.drop
//   [data-reason]               a reason that tells what it means on hover, focus and tap, in #reason-card
//   #login[open]                input[name=token], #login-error
//   #help[open]                 the keys
//   html[data-theme]            light or dark; absent where it is as the system has it (#theme)
