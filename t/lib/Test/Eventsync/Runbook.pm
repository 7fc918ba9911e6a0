# SPDX-License-Identifier: BSD-2-Clause

package Test::Eventsync::Runbook;

# Runs the commands of docs/runbooks.md on a test's store.  A shell gets each
# line as the page has it, after these replacements:
#
#     names           of endpoints, feeds, partners …: given with each run
#     /etc/eventsync, /var/log/nginx and other directories: below the test's
#     http://localhost/v1/                the test's nginx
#
# The test itself serves the programs that need systemd or change the machine:
# lines of systemctl, timedatectl and adduser call a sub, journalctl prints the
# log of the test's dispatcher, and nginx is the test's.  Lines that read
# /proc/pressure are left out where the kernel has none.

use warnings;
use strict;

use Test::Eventsync;

my %sections;

sub sections {
    if (!%sections) {
        open my $fh, '<', "$Test::Eventsync::ROOT/docs/runbooks.md"
            or die "runbooks.md: $!\n";
        my $text = do { local $/; <$fh> };
        %sections = $text =~ /^## (\w+)\n(.*?)(?=^## |\z)/msg;
    }
    return \%sections;
}

sub section {
    my ($alert, $part) = @_;
    my ($text) = (sections()->{$alert} // die "no runbook for $alert\n")
        =~ /^\*\*$part\.\*\* (.*?)(?=^\*\*\w+\.\*\* |\z)/ms;
    return $text // die "$alert has no $part\n";
}

# The lines of the blocks of a part.
sub commands {
    my ($alert, $part) = @_;
    return map { split /\n/ } section($alert, $part) =~ /^```sh\n(.*?)^```/msg;
}

# The commands of eventsyncctl within the sentences of a section.
sub inline {
    my ($alert) = @_;
    (my $text = sections()->{$alert}) =~ s/^```.*?^```//msg;
    return grep { / .* / } map { s/\n/ /r } $text =~ /`(eventsyncctl [^`]+)`/g;
}

# `programs` are subs by name; each gets its arguments, and returns the exit
# status and what the program prints.
sub new {
    my ($class, $t, %programs) = @_;
    my $self = bless { t => $t, programs => \%programs }, $class;
    my $dir = $t->testdir;

    mkdir $_ for "$dir/bin", "$dir/etc";
    symlink $t->build . '/eventsyncctl', "$dir/bin/eventsyncctl";
    $self->script(journalctl => "exec cat $dir/dispatcher-*.err");
    $self->script(nginx => 'exec ' . $t->nginx_binary . " -p $dir/ -c $dir/nginx.conf "
        . '-e stderr "$@"');
    return $self;
}

sub script {
    my ($self, $name, $text) = @_;
    chmod 0755, $self->{t}->write_file("bin/$name", "#!/bin/sh\n$text\n");
}

sub replaced {
    my ($self, $line, %names) = @_;
    my $dir = $self->{t}->testdir;

    my $any = join '|', map { quotemeta } sort { length $b <=> length $a } keys %names;
    $line =~ s/(?<![\w-])($any)(?![\w-])/$names{$1}/g if $any;
    $line =~ s{/etc/eventsync/}{$dir/etc/}g;
    $line =~ s{/var/log/nginx/}{$dir/}g;
    $line =~ s{/var/lib/eventsync-audit\b}{$dir/audit}g;
    $line =~ s{/(?:run/eventsync-probe|var/lib/prometheus/node-exporter|var/backups)/}{$dir/}g;
    $line =~ s{http://localhost/v1/}{'http://127.0.0.1:' . $self->{t}->port(0) . '/v1/'}e;
    return $line;
}

# Returns the exit status and the output of a line.
sub line {
    my ($self, $line, %names) = @_;
    my $t = $self->{t};
    my $command = $self->replaced($line, %names);

    my ($program, @args) = split ' ', $command =~ s/ +#.*//r;
    return $self->{programs}{$program}->(@args) if $self->{programs}{$program};
    my $run = $t->start('runbook', { env => { EVENTSYNC_STORE => $t->store,
        PATH => $t->testdir . "/bin:$ENV{PATH}", LC_ALL => 'C.UTF-8',
        %{ $self->{env} // {} } } }, 'sh', '-c', $command);
    my $rc = $run->wait(60) // $run->stop('KILL');
    $t->forget($run);
    return ($rc, $run->stdout . $run->stderr);
}

# Runs the blocks of a part; returns all that they print, and the lines that
# cannot be run: a usage error, an unknown program, a file that does not exist.
sub run {
    my ($self, $alert, $part, %names) = @_;
    my ($all, @bad) = '';

    for my $line (commands($alert, $part)) {
        next if $line =~ m{/proc/pressure/} && !-e '/proc/pressure';
        my ($rc, $out) = $self->line($line, %names);
        push @bad, "$line: exit $rc: $out" if bad($line, $rc, $out);
        $all .= "$out\n";
    }
    return ($all, @bad);
}

sub bad {
    my ($line, $rc, $out) = @_;
    return $rc == 126 || $rc == 127 || ($line =~ /^eventsyncctl/ && $rc > 1)
        || $out =~ /No such file|not found$|^usage/mi;
}

1;
