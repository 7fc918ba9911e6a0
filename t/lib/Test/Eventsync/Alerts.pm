# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Alerts;

# docs/alerts.yml, and for each alert of it the series that let it fire and
# resolve.

use warnings;
use strict;

use Test::Eventsync;

use parent 'Exporter';
our @EXPORT = qw(alerts alert_cases promtool runbook_url);

# The program of Debian's package prometheus; undef without it.
sub promtool {
    return (grep { -x } map { "$_/promtool" } split /:/, $ENV{PATH})[0];
}

sub runbook_url {
    my ($name) = @_;
    return 'https://docs.example/eventsync/runbooks.md#' . lc $name;
}

# Hashes with alert, expr, for, severity, summary and runbook_url.  The reader
# knows only the form that the file has.
sub alerts {
    open my $fh, '<', "$Test::Eventsync::ROOT/docs/alerts.yml" or die "alerts.yml: $!\n";
    my $text = do { local $/; <$fh> };
    my @alerts;
    for my $rule (split /^ {6}- /m, $text) {
        next if $rule !~ /^alert: /;
        my %alert = $rule =~ /^ *(alert|for|severity|summary|runbook_url): (.*)$/mg;
        ($alert{expr}) = $rule =~ /^ +expr: (?:\|\n)?(.*?)^ {8}for:/ms;
        push @alerts, \%alert;
    }
    return @alerts;
}

my %AT = (instance => 'a', job => 'eventsync');

sub series {
    my ($name, %labels) = @_;
    %labels = (%AT, %labels);
    return "$name\{" . join(',', map { "$_=\"$labels{$_}\"" } sort keys %labels) . '}';
}

# A gauge that is wrong for as many minutes, and a counter that rises meanwhile
# by so much a minute.
sub gauge { my ($good, $bad, $minutes) = @_;
    return "${good}x1 ${bad}x$minutes ${good}x300" }
sub counter { my ($by, $minutes) = @_;
    return "0+${by}x$minutes " . $by * $minutes . 'x300' }

# Each with the name, what the case is, when it fires and when not, labels
# besides the severity, the sentence, and the series.
sub alert_cases {
    my %poll = (resource => 'poll');
    my %fresh = (feed => 'prices');
    my %ep = (endpoint => 'ep_1', partner => 'acme');
    my @up = ([ series('up'), '1x300' ]);
    my $age = 'eventsync_dispatcher_heartbeat_age_seconds';
    my $requests = 'eventsync_http_requests_total';
    return (
    [ 'EventsyncDown', 'a scrape fails', '4m', '20m', { %AT },
        'Prometheus gets no metrics from a.', [ series('up'), gauge(1, 0, 10) ] ],
    [ 'EventsyncServerErrors', 'of polls', '5m', '40m', { %AT, %poll },
        'Requests for poll at a fail with 5xx.',
        [ series($requests, %poll, code => '5xx'), counter(1, 10) ],
        [ series($requests, resource => 'health', code => '5xx'), counter(1, 100) ] ],
    [ 'EventsyncClientErrors', 'of polls', '25m', '60m', { %AT, %poll },
        '75% of the requests for poll at a are refused with 4xx.',
        [ series($requests, %poll, code => '4xx'), counter(30, 30) ],
        [ series($requests, %poll, code => '2xx'), counter(10, 100) ] ],
    [ 'EventsyncCommitsSlow', 'one in fifty', '15m', '40m', { %AT },
        'At a, one publish in a hundred waits for its commit for 2s or more.',
        [ series('eventsync_commit_duration_seconds_bucket', le => 1), counter(49, 20) ],
        [ series('eventsync_commit_duration_seconds_bucket', le => 3), counter(50, 20) ],
        [ series('eventsync_commit_duration_seconds_bucket', le => '+Inf'), counter(50, 20) ] ],
    [ 'EventsyncPartnerLimited', 'by one policy', '15m', '40m', { %AT, policy => 'poll' },
        'The limit poll at a refuses 2 requests a second.',
        [ series('eventsync_limit_refused_total', policy => 'poll'), counter(120, 20) ],
        [ series('eventsync_limit_refused_total', policy => 'waits'), counter(30, 100) ] ],

    [ 'EventsyncDiskFilling', 'within a day', '90m', '600m', { %AT },
        'The disk of the store at a will be full within a day, and publishing stops then.',
        [ series('eventsync_store_disk_free_bytes'), '100000-100x100 90000x300' ] ],
    [ 'EventsyncDiskNearlyFull', 'of megabytes', '5m', '40m', { %AT },
        'The disk of the store at a has 1MiB left, and publishing stops without.',
        [ series('eventsync_store_disk_free_bytes'), gauge(104857600, 1048576, 20) ],
        [ series('eventsync_store_disk_bytes'), '209715200x300' ] ],
    [ 'EventsyncStoreNearlyFull', 'the log', '15m', '40m', { %AT, environment => 'log' },
        'log/ at a has used 90% of map_max.',
        [ series('eventsync_store_used_bytes', environment => 'log'), gauge(700, 900, 20) ],
        [ series('eventsync_store_used_bytes', environment => 'ids'), gauge(700, 700, 20) ],
        [ series('eventsync_store_map_limit_bytes'), '1000x300' ] ],
    [ 'EventsyncReadersNearlyFull', 'the log', '15m', '40m', { %AT, environment => 'log' },
        '900 slots of the reader table of log/ at a are in use.',
        [ series('eventsync_store_readers', environment => 'log'), gauge(9, 900, 20) ],
        [ series('eventsync_store_readers_max', environment => 'log'), '1022x300' ] ],
    [ 'EventsyncReadDoesNotEnd', 'of the log', '15m', '40m', { %AT, environment => 'log' },
        'A read of log/ at a does not end, and the store grows until it does.',
        [ series('eventsync_store_readers_lag_commits', environment => 'log'),
            gauge(2, 2000, 20) ] ],
    [ 'EventsyncRetentionNotApplied', 'to a feed', '15m', '40m', { %AT, feed => 'prices' },
        'No process applies the retention of prices at a.',
        [ series('eventsync_feed_retention_overdue_seconds', feed => 'prices'),
            gauge(0, 90, 20) ] ],

    (map { [ 'EventsyncHistoryNotPacked', $_->[0], '80m', '180m', { %AT },
        'The dispatcher at a does not pack history, and the log takes more room.',
        [ series('eventsync_packing_errors_total'), $_->[1] ],
        [ series('eventsync_packing_pending_events'), $_->[2] ] ] }
        [ 'errors', counter(1, 90), '500x300' ],
        [ 'it falls behind', '3x300', gauge(0, 2_000_000, 90) ]),

    [ 'EventsyncFeedNotFresh', 'by webhook', '20m', '60m',
        { %AT, feed => 'prices', channel => 'webhook' },
        '20% of what prices at a sends by webhook comes later than promised.',
        [ series('eventsync_feed_fresh_total', %fresh, channel => 'webhook', result => 'missed'),
            counter(2, 30) ],
        [ series('eventsync_feed_fresh_total', %fresh, channel => 'webhook', result => 'kept'),
            counter(8, 200) ],
        [ series('eventsync_feed_fresh_total', %fresh, channel => 'poll', result => 'excused'),
            counter(9, 200) ],
        [ series('eventsync_feed_fresh_total', %fresh, channel => 'poll', result => 'kept'),
            counter(1, 200) ] ],

    [ 'EventsyncAuditHeadsNotSigned', 'for long', '15m', '40m', { %AT },
        'Nobody signs the heads of the audit at a.',
        [ series('eventsync_audit_heads_overdue_seconds'), gauge(0, 400, 20) ] ],
    [ 'EventsyncClockWrong', 'ahead', '5m', '40m', { %AT, direction => 'ahead' },
        "The clock of a differs from the store's time: it is 2m 0s ahead.",
        [ series('eventsync_clock_off_seconds', direction => 'ahead'), gauge(0, 120, 20) ],
        [ series('eventsync_clock_off_seconds', direction => 'behind'), '0x300' ] ],
    [ 'EventsyncClockUnsynchronized', 'for long', '40m', '90m', { %AT },
        'Nothing synchronises the clock of a.',
        [ series('eventsync_clock_synchronized'), gauge(1, 0, 50) ] ],

    (map { [ 'EventsyncKeyExpires', $_->[0], '20m', '90m', { %AT, scope => 'publish' },
        "At a, the last key of a partner with the scope publish $_->[2].",
        [ series('eventsync_keys_expiry_timestamp_seconds', scope => 'publish'),
            "9000000x1 $_->[1]x60 9000000x300" ],
        [ series('eventsync_keys_expiry_timestamp_seconds', scope => 'read'), '9000000x300' ] ] }
        [ 'soon', 14 * 86400, 'expires in 13d 23h 40m 0s' ], [ 'it has', 60, 'has expired' ]),
    [ 'EventsyncProducerSilent', 'with a rule', '15m', '40m', { %AT, feed => 'prices' },
        'The last event of prices at a is 1h 6m 40s old.',
        [ series('eventsync_feed_last_event_age_seconds', feed => 'prices'),
            gauge(5, 4000, 20) ],
        [ series('eventsync_feed_last_event_age_seconds', feed => 'quiet'),
            gauge(5, 4000, 20) ] ],

    [ 'EventsyncDispatcherDown', 'it stops', '5m', '40m', { %AT },
        'No dispatcher works on the store of a, and no webhook is sent.',
        [ series($age), gauge(0, 60, 20) ], @up ],
    [ 'EventsyncDispatcherDown', 'it has never run', '5m', '40m', { %AT },
        'No dispatcher works on the store of a, and no webhook is sent.',
        [ series($age), '_x20 0x300' ], @up ],
    [ 'EventsyncDispatcherLate', 'it is slow', '15m', '40m', { %AT },
        'The dispatcher on the store of a records its heartbeat late.',
        [ series($age), gauge(0, 8, 20) ], @up ],
    (map { [ 'EventsyncAllEndpointsStalled', $_, '5m', '40m', { %AT, reason => $_ },
        "No webhook is sent from a, because of $_.",
        [ series('eventsync_delivery_stalled', reason => $_), gauge(0, 1, 20) ],
        [ series('eventsync_delivery_stalled', reason => 'event'), '1x300' ] ] }
        qw(proxy files)),
    (map {
        my ($alert, $state, $fires, $resolves, $minutes, $one, $more) = @$_;
        [ $alert, 'with each endpoint', $fires, $resolves, { %AT, %ep, state => $state },
            "Endpoint ep_1 of acme $one at a.",
            [ series('eventsync_endpoint_state', %ep, state => $state),
                "_ 1x$minutes _x300" ],
            [ series('eventsync_endpoints', state => $state), gauge(0, 1, $minutes) ] ],
        [ $alert, 'without', $fires, $resolves, { %AT, state => $state },
            "Of the endpoints, 2 $more at a.",
            [ series('eventsync_endpoints', state => $state), gauge(0, 2, $minutes) ] ],
        [ $alert, 'of the others', $fires, $resolves,
            { %AT, state => $state, endpoint => 'other' }, "Of the endpoints, 2 $more at a.",
            [ series('eventsync_endpoint_state', endpoint => 'other', state => $state),
                gauge(0, 2, $minutes) ] ]
    } [ EventsyncEndpointStopped => 'stopped', '5m', '40m', 20, 'is stopped', 'are stopped' ],
      [ EventsyncEndpointFailing => 'failing', '20m', '60m', 30, 'is failing', 'are failing' ],
      [ EventsyncEndpointUnverified => 'unverified', '1500m', '1700m', 1600,
          'has not agreed for a day', 'have not agreed for a day' ]),
    [ 'EventsyncEndpointStalled', 'by an event', '15m', '40m', { %AT },
        'An endpoint at a has taken nothing new for 11m 40s.',
        [ series('eventsync_delivery_stalled_age_seconds'), gauge(0, 700, 20) ] ],
    (map {
        my ($alert, $fires, $days, $label, $one) = @$_;
        my $end = $days * 86400;
        my %cert = (certificate => $label);
        my $delivery = 'eventsync_delivery_certificate_expiry_timestamp_seconds';
        [ $alert, "$label of an endpoint", $fires, '90m', { %AT, %ep, %cert },
            "The certificate \"$label\" of endpoint ep_1 of acme at a $one.",
            [ series('eventsync_endpoint_certificate_expiry_timestamp_seconds', %ep, %cert),
                "9000000x1 ${end}x60 9000000x300" ],
            [ series($delivery, %cert), "9000000x1 ${end}x60 9000000x300" ] ],
        [ $alert, "$label without endpoints", $fires, '90m', { %AT, %cert },
            "The certificate \"$label\" at a $one.",
            [ series($delivery, %cert), "9000000x1 ${end}x60 9000000x300" ],
            [ series($delivery, certificate => 'other'), '9000000x300' ] ]
    } [ EventsyncCertificateExpires => '20m', 14, 'client', 'expires in 13d 23h 40m 0s' ],
      [ EventsyncCertificateExpiresSoon => '20m', 3, 'receiver', 'expires in 2d 23h 40m 0s' ],
      [ EventsyncCertificateExpiresSoon => '20m', 0, 'token', 'has expired' ]),
    [ 'EventsyncBacklogGrowing', 'for long', '35m', '90m', { %AT },
        'At a, 13500 events wait for endpoints, and they become more.',
        [ series('eventsync_delivery_backlog_events'), '10000+100x40 13900x100' ] ],
    [ 'EventsyncRetentionNear', 'for two', '5m', '40m', { %AT },
        'Retention at a will soon delete events that endpoints have not been sent, '
            . 'of 2 of their feeds.',
        [ series('eventsync_delivery_retention_near'), gauge(0, 2, 20) ] ],
    [ 'EventsyncHostsBusy', 'for long', '20m', '60m', { %AT },
        'Endpoints at a wait because their host is sent as many requests as one may be.',
        [ series('eventsync_delivery_host_waits_total'), counter(1200, 30) ] ],
    (map { [ $_->[0], 'one', '5m', '90m', { %AT }, $_->[2], [ series($_->[1]), '0x1 1x300' ] ] }
        [ EventsyncDeadLetters => 'eventsync_delivery_exhausted_total',
            'Events at a have become dead letters within the last hour.' ],
        [ EventsyncEventsLost => 'eventsync_delivery_lost_events_total',
            'Retention at a has deleted events before an endpoint was sent them.' ],
        [ EventsyncOperationalEventsDropped => 'eventsync_operational_events_dropped_total',
            'Partners at a have missed operational events within the last hour.' ]),
    [ 'EventsyncOperationalEventsWaiting', 'many', '15m', '40m', { %AT },
        'At a, 2000 operational events are not published yet.',
        [ series('eventsync_operational_events_waiting'), gauge(0, 2000, 20) ] ],

    [ 'EventsyncProbeFailed', 'by one channel', '5m', '40m', { %AT, channel => 'sse' },
        'The probe at a does not see its events by sse.',
        [ series('eventsync_probe_success', channel => 'sse'), gauge(1, 0, 20) ],
        [ series('eventsync_probe_success', channel => 'poll'), '1x300' ] ],
    [ 'EventsyncProbeLate', 'the timer is off', '20m', '40m', { %AT },
        'The probe at a ran 20m 0s ago.',
        [ series('eventsync_probe_last_run_timestamp_seconds'), '0x25 1800+60x300' ] ],
    );
}

1;
