#!/usr/bin/perl
# SPDX-License-Identifier: BSD-2-Clause

# Receivers of docs/receivers.md with one usual mistake each: what the
# frameworks then answer is what the hints recognise.

use warnings;
use strict;

use JSON::PP;
use Test::More;

use lib 't/lib';
use Test::Eventsync;
use Test::Eventsync::Frameworks qw(%CODE missing launch);

my $SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $t = Test::Eventsync->new;

# Lets errors of verify() through, as short samples do.
sub uncaught {
    my ($code) = @_;
    $code =~ s/try \{\n(.*?)\} catch \{.*?\n +\}\n/$1/s or die "no try\n";
    return $code;
}

# The receiver, the mistake, options, and the hints.
my @cases = (
    ['Express', 'raw() takes one type', sub { uncaught($_[0])
        =~ s/type: \(\) => true/type: 'application\/json'/r },
        ['--cloudevents'], 'no-body'],
    ['Express', 'json() comes first', sub { uncaught($_[0])
        =~ s/^(const app = express.*)/$1\napp.use(express.json());/mr }, [],
        'parsed-body too-large'],
    ['Express', 'JSON is written again', sub { $_[0]
        =~ s/express\.raw\(\{ type: \(\) => true, /express.json({ /r
        =~ s/verify\(req\.body/verify(JSON.stringify(req.body)/r }, [],
        'rewrites-json'],
    ['Express', 'the default limit', sub { $_[0] =~ s/, limit: '8mb'//r }, [],
        'too-large'],
    ['Express', 'errors are not caught', sub { uncaught($_[0]) }, [],
        'uncaught'],
    ['Express', 'another route', sub { $_[0] =~ s{'/hook'}{'/hooks'}r }, [],
        'not-found'],
    ['Express, Svix', 'json() instead of raw()', sub { uncaught($_[0])
        =~ s/express\.raw\(\{ type: \(\) => true, /express.json({ /r }, [],
        'parsed-body'],
    ['Express', 'no verification', sub { $_[0] =~ s/webhook\.verify.*//r }, [],
        'verifies-nothing'],
    ['Fastify', 'its own parsers', sub { uncaught($_[0])
        =~ s/^ +hooks\.removeAll.*?\n.*?\n.*?;\n//mr }, [], 'parsed-body'],
    ['Fastify', 'its own parsers', sub { uncaught($_[0])
        =~ s/^ +hooks\.removeAll.*?\n.*?\n.*?;\n//mr }, ['--cloudevents'],
        'content-type'],
    ['Hono', 'a Headers object', sub { $_[0]
        =~ s/Object\.fromEntries\((.*?)\)/$1/r
        =~ s/\} catch \{/} catch (e) { return c.text(e.message, 400);/r }, [],
        'fields'],
    ['CloudEvents SDK', 'application/json', sub { $_[0] }, [],
        'content-type'],
    ['Node.js alone', 'the secret is not decoded', sub { $_[0]
        =~ s/Buffer\.from\((process\S+)\.slice.*?\);/$1;/sr }, [],
        'secret-not-decoded'],
    ['Node.js alone', 'the clock is wrong', sub { $_[0]
        =~ s/if \(!\(Math.*/if (Math.abs(Date.now() \/ 1000 - at) < 900) return false;/r
        =~ s/res\.writeHead\(401\)/res.writeHead(400), res.write('timestamp too old')/r
        }, [], 'clock'],
    ['Flask', 'JSON is written again', sub { $_[0] =~ s/^import /import json, /r
        =~ s/body = .*/body = json.dumps(request.json).encode()/r }, [],
        'rewrites-json'],
    ['Flask', 'an error', sub { $_[0] =~ s/^( +)body = .*/$1body = None/mr },
        [], 'failed'],
);

my %missing;
for my $case (@cases) {
    my ($name, $mistake, $change) = @$case;
    my $why = missing($t, $name);
    if ($why) {
        $missing{$name} = $why;
        next;
    }
    my $code = $change->($CODE{$name});
    isnt($code, $CODE{$name}, "$name: $mistake")
        if $mistake ne 'application/json';
    push @$case, launch($t, $name, $code, $SECRET);
}
diag("without $_: $missing{$_}") for sort keys %missing;

for my $case (grep { @$_ > 5 } @cases) {
    my ($name, $mistake, undef, $options, $causes, $recv) = @$case;
    ok($recv->{ready}->(), "$name, $mistake: starts")
        or diag($recv->{proc}->stderr);
    my (undef, $out) = $t->ctl('verify-integration', '--json', @$options,
        "--url=$recv->{url}", "--secret=$SECRET");
    my $report = decode_json($out);
    is(join(' ', map { $_->{cause} } @{ $report->{hints} }), $causes,
        "$name, $mistake: its hint") or diag($out);
}

done_testing();
